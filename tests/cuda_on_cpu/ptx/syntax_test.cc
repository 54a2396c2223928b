#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/cuda_on_cpu/ptx/lexer.h"
#include "tests/cuda_on_cpu/ptx/library.h"
#include "tests/cuda_on_cpu/ptx/parser.h"
#include "tests/cuda_on_cpu/ptx/snippet.h"
#include "tests/support/temp_folder.h"

namespace varve::ptx {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> words(std::string_view text) {
  std::vector<std::string> all;
  for (const Token& token : tokenize(text)) all.emplace_back(token.text);
  all.pop_back();  // the end
  return all;
}

TEST(Lexer, KeepsQualifiersTogetherAndLabelsApart) {
  EXPECT_THAT(words("$L__BB0_1: @!%p1 ld.global.L2::128B.u32 %r1, [%rd2+-8]; // end"),
              ElementsAre("$L__BB0_1", ":", "@", "!", "%p1", "ld.global.L2::128B.u32", "%r1", ",",
                          "[", "%rd2", "+", "-", "8", "]", ";"));
}

TEST(Lexer, CountsLinesThroughComments) {
  const std::vector<Token> tokens = tokenize("a /* one\ntwo */ b\n// three\nc");
  EXPECT_EQ(tokens[0].line, 1U);
  EXPECT_EQ(tokens[1].line, 2U);
  EXPECT_EQ(tokens[2].line, 4U);
}

TEST(Numbers, OfEveryKind) {
  EXPECT_EQ(parse_number("12"), 12U);
  EXPECT_EQ(parse_number("0"), 0U);
  EXPECT_EQ(parse_number("0x1F"), 31U);
  EXPECT_EQ(parse_number("4U"), 4U);
  EXPECT_EQ(parse_number("0f3F800000"), 0x3f800000U);
  EXPECT_EQ(parse_number("0d3FF0000000000000"), 0x3ff0000000000000U);
  EXPECT_THROW(parse_number("12y"), std::invalid_argument);
}

TEST(Types, AreToldFromOtherWords) {
  EXPECT_EQ(parse_type("bf16x2"), (Type{Type::Kind::kBfloat, 16, 2}));
  EXPECT_EQ(parse_type("s64"), (Type{Type::Kind::kSigned, 64, 1}));
  for (const char* word : {"bfly", "sync", "shared", "u", "ftz", "s2", "f33", ""}) {
    EXPECT_EQ(parse_type(word).kind, Type::Kind::kNothing) << word;
  }
}

TEST(Parser, ReadsWhatNvccWrites) {
  const Module module = parse_module(R"(
.version 9.0
.target sm_90
.address_size 64
	.file	1 "dir/a.cu"
.extern .func  (.param .b32 func_retval0) vprintf(.param .b64 p0, .param .b64 p1);
.extern .shared .align 128 .b8 memory[];
.const .align 4 .b8 table[8] = {1, 2, 0xFF, 4, 5, 6};
.global .align 8 .u32 pair[2] = {7, 8};
.visible .entry _Z1kPfi(
	.param .u64 .ptr .align 1 _Z1kPfi_param_0,
	.param .align 8 .b8 _Z1kPfi_param_1[12]
)
.maxntid 128
.minnctapersm 2
{
	.reg .pred 	%p<2>;
	.reg .b32 	%r<3>;
	.loc	1 7 3
	mov.u32 	%r1, %tid.x;
	.loc	1 8 3, function_name $L__info_string0, inlined_at 1 9 1
	{ .reg .b32 %r1; mov.b32 %r1, 0; }
	@!%p1 bra 	$L__BB0_1;
	.pragma "nounroll";
$L__BB0_1:
	ret;
}
.section	.debug_str
{
$L__info_string0:
.b8 95,90
}
)",
                                     "a.ptx");
  EXPECT_EQ(module.target, "sm_90");
  EXPECT_EQ(module.files.at(1), "dir/a.cu");
  ASSERT_EQ(module.variables.size(), 3U);
  EXPECT_EQ(module.variables[0].bytes, 0U);
  EXPECT_EQ(module.variables[0].align, 128U);
  EXPECT_THAT(module.variables[1].initial, ElementsAre(1, 2, 255, 4, 5, 6));
  EXPECT_THAT(module.variables[2].initial, ElementsAre(7, 0, 0, 0, 8, 0, 0, 0));
  const Function* const k = module.find_entry("_Z1kPfi");
  ASSERT_NE(k, nullptr);
  ASSERT_EQ(k->params.size(), 2U);
  EXPECT_EQ(k->params[1].bytes, 12U);
  EXPECT_EQ(k->params[1].align, 8U);
  ASSERT_EQ(k->code.size(), 4U);
  EXPECT_EQ(k->code[0].place.source_line, 7U);
  EXPECT_EQ(k->code[1].place.source_line, 8U);
  EXPECT_NE(k->code[0].operands[0].index, k->code[1].operands[0].index) << "another scope";
  EXPECT_TRUE(k->code[2].guard_negated);
  EXPECT_EQ(k->labels.at("$L__BB0_1"), 3U);
}

TEST(Parser, NamesTheLineOfWhatItCannotRead) {
  try {
    parse_module(".version 9.0\n.target sm_80\n.nonsense 3\n", "b.ptx");
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), HasSubstr("b.ptx:3"));
  }
  EXPECT_THROW(parse_module(".entry k() { add.u32 %r1, %r2, %r3;", "c.ptx"), std::runtime_error);
  EXPECT_THROW(parse_module(".entry k() { @%p1 ret; }", "c.ptx"), std::runtime_error);
  EXPECT_THROW(load_module("/nowhere/x.ptx"), std::runtime_error);
}

TEST(Decode, ListsWhatItDoesNotKnowAndFailsOnlyWhereItIsRun) {
  const std::string text = kernel_around(
      "setp.eq.u32 %p1, %r0, 99;\n@%p1 wgmma.fence.sync.aligned;\n"
      "@%p1 add.u32 %r1, %r2, %rd1;\nst.global.u32 [%rd0], 5;");
  Image image(parse_module(text, "snippet.ptx"));
  const Program& program = *image.find("k");
  ASSERT_EQ(program.unsupported.size(), 2U);
  EXPECT_THAT(program.unsupported[0], HasSubstr("wgmma.fence.sync.aligned"));
  EXPECT_THAT(program.unsupported[1], HasSubstr("another size"));
  std::uint32_t out = 0;
  void* pointer = &out;
  const std::array<Argument, 2> arguments{{{&pointer, 8}, {&pointer, 8}}};
  run_grid(program, {{1, 1, 1}, {32, 1, 1}, 0}, arguments);
  EXPECT_EQ(out, 5U);
  EXPECT_THROW(run_grid(program, {{1, 1, 1}, {128, 1, 1}, 0}, arguments), KernelError);
}

// f(x) = 2 x + 1, unless x is odd: then x. It keeps x in memory of its own.
const char* const kFunction = R"(
.func (.param .b32 func_retval0) f(.param .b32 f_param_0)
{
  .local .align 4 .b8 kept[4];
  .reg .pred %p<2>;
  .reg .b32 %r<4>;
  ld.param.b32 %r1, [f_param_0];
  st.local.u32 [kept], %r1;
  and.b32 %r2, %r1, 1;
  setp.eq.u32 %p1, %r2, 1;
  @%p1 bra odd;
  mad.lo.u32 %r1, %r1, 2, 1;
  st.param.b32 [func_retval0+0], %r1;
  ret;
odd:
  ld.local.u32 %r3, [kept];
  st.param.b32 [func_retval0+0], %r3;
  ret;
}
)";

std::string call(const char* guard) {
  return std::string("{ .param .b32 param0; .param .b32 retval0;\nst.param.b32 [param0], %r2;\n") +
         guard + "call.uni (retval0), f, (param0);\nld.param.b32 %r2, [retval0]; }\n";
}

TEST(Calls, AreInlined) {
  std::vector<std::uint32_t> out(32);
  run_text(kernel_around("mov.u32 %r2, %r0;\n" + call("") + call("") +
                             "mul.wide.u32 %rd2, %r0, 4;\nadd.s64 %rd2, %rd2, %rd0;\n"
                             "st.global.u32 [%rd2], %r2;",
                         kFunction),
           out.data(), nullptr);
  // The first result is odd: the second call leaves it.
  for (unsigned i = 0; i < 32; ++i) EXPECT_EQ(out[i], i % 2 == 1 ? i : 2 * i + 1);
}

TEST(Calls, MayBeGuarded) {
  std::vector<std::uint32_t> out(32);
  run_text(kernel_around("setp.gt.u32 %p1, %r0, 9;\nmov.u32 %r2, %r0;\n"
                         "{ .param .b32 param0; .param .b32 retval0;\n"
                         "st.param.b32 [param0], %r2;\nst.param.b32 [retval0], 100;\n"
                         "@!%p1 call (retval0), f, (param0);\nld.param.b32 %r2, [retval0]; }\n"
                         "mul.wide.u32 %rd2, %r0, 4;\nadd.s64 %rd2, %rd2, %rd0;\n"
                         "st.global.u32 [%rd2], %r2;",
                         kFunction),
           out.data(), nullptr);
  EXPECT_EQ(out[9], 9U);
  EXPECT_EQ(out[8], 17U);
  EXPECT_EQ(out[10], 100U);
}

TEST(Calls, OfWhatIsNotThereAreReported) {
  EXPECT_THAT(error_of(kernel_around("call.uni g, (%r1);", ".extern .func g(.param .b32 x);\n")),
              HasSubstr("a call that cannot be inlined"));
  EXPECT_THAT(error_of(kernel_around("call.uni h;", ".func h()\n{\ncall.uni h;\nret;\n}\n")),
              HasSubstr("a call that cannot be inlined"));
}

TEST(Arguments, MustFitTheParameters) {
  Image image(parse_module(kernel_around(""), "snippet.ptx"));
  const int four = 0;
  const std::array<Argument, 1> one{{{&four, 4}}};
  const std::array<Argument, 2> short_ones{{{&four, 4}, {&four, 4}}};
  EXPECT_THROW(run_grid(*image.find("k"), {}, one), KernelError);
  EXPECT_THROW(run_grid(*image.find("k"), {}, short_ones), KernelError);
  EXPECT_EQ(image.find("other"), nullptr);
}

class LibraryTest : public testing::Test {
 protected:
  // A module of one kernel; hash is what nvcc puts into names of an unnamed namespace.
  void add(const std::string& hash, const char* param_type) {
    const std::string mangled = "_ZN1a" + std::to_string(hash.size()) + hash + "1kEPf";
    const TempFolder folder;
    const std::string path = folder.path() / "x.ptx";
    std::ofstream(path) << ".version 9.0\n.target sm_80\n.visible .entry " << mangled << "(.param ."
                        << param_type << " p)\n{\nret;\n}\n";
    library_.add(path);
  }

  Library library_;
};

TEST_F(LibraryTest, FindsKernelsByEitherName) {
  add("_GLOBAL__N__0a1b2c3d_4_x_cu_2b3c4d5e", "u64");
  const std::size_t eight = 8;
  const std::size_t four = 4;
  const Program& program = library_.find("", "a::(anonymous namespace)::k", {&eight, 1});
  EXPECT_EQ(&library_.find(program.function->name, "", {}), &program);
  EXPECT_THROW(library_.find("", "a::(anonymous namespace)::k", {&four, 1}), std::runtime_error);
  EXPECT_THROW(library_.find("", "a::k", {&eight, 1}), std::runtime_error);
}

TEST_F(LibraryTest, RefusesToGuess) {
  add("_GLOBAL__N__0a1b2c3d_4_x_cu_2b3c4d5e", "u64");
  add("_GLOBAL__N__1a1b2c3d_4_y_cu_2b3c4d5e", "u64");
  add("_GLOBAL__N__2a1b2c3d_4_z_cu_2b3c4d5e", "u32");
  const std::size_t eight = 8;
  const std::size_t four = 4;
  EXPECT_THROW(library_.find("", "a::(anonymous namespace)::k", {&eight, 1}), std::runtime_error);
  EXPECT_NO_THROW(library_.find("", "a::(anonymous namespace)::k", {&four, 1}));
}

TEST(Names, OfOneKernelByAllCompilersAreTheSame) {
  const char* const wanted = "a::_unnamed::f<128, float>";
  for (const char* name :
       {"a::{anonymous}::f<128, float>", "a::(anonymous namespace)::f<128, float>",
        "void a::(anonymous namespace)::f<128u, float>(float const*, int)",
        "void a::_GLOBAL__N__0a1_4_x_cu_2b::f<128, float>(float const*, int)"}) {
    EXPECT_EQ(plain_name(name), wanted) << name;
  }
  EXPECT_EQ(plain_name("f(void (*)(int))"), "f");
}

}  // namespace
}  // namespace varve::ptx
