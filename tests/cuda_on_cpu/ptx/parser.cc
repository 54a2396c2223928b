#include "tests/cuda_on_cpu/ptx/parser.h"

#include <fstream>
#include <sstream>

#include "tests/cuda_on_cpu/ptx/function_parser.h"
#include "tests/cuda_on_cpu/ptx/token_stream.h"

namespace varve::ptx {
namespace {

class ModuleParser {
 public:
  ModuleParser(std::string_view text, const std::string& path) : tokens_(text, path) {
    module_.path = path;
  }

  Module run() {
    while (!tokens_.at_end()) item();
    return std::move(module_);
  }

 private:
  void item() {
    const Token token = tokens_.next();
    if (token.is(".entry") || token.is(".func")) {
      function(token.is(".entry"));
    } else if (token.is(".global")) {
      variable(Space::kGlobal);
    } else if (token.is(".const")) {
      variable(Space::kConst);
    } else if (token.is(".shared")) {
      variable(Space::kShared);
    } else if (token.is(".target")) {
      module_.target = tokens_.word();
      while (tokens_.accept(",")) tokens_.next();
    } else if (token.is(".file")) {
      const auto number = static_cast<std::uint32_t>(tokens_.number());
      module_.files[number] = std::string(tokens_.next().text);
      while (tokens_.accept(",")) tokens_.next();
    } else if (token.is(".version") || token.is(".address_size")) {
      tokens_.next();
    } else if (token.is(".section")) {
      tokens_.next();
      tokens_.skip_braces();
    } else if (!token.is(".visible") && !token.is(".extern") && !token.is(".weak") &&
               !token.is(".common")) {
      tokens_.fail("unknown directive '" + std::string(token.text) + "' before this");
    }
  }

  void variable(Space space) {
    module_.variables.push_back(parse_variable(tokens_, space));
    tokens_.expect(";");
  }

  void function(bool entry) {
    Function f;
    f.entry = entry;
    if (tokens_.accept("(")) f.results = parameters();
    f.name = tokens_.word();
    if (tokens_.accept("(")) f.params = parameters();
    // .maxntid and its like are promises to ptxas.
    while (!tokens_.next_is("{") && !tokens_.next_is(";")) tokens_.next();
    if (tokens_.accept(";")) return;  // declared only
    parse_body(tokens_, f);
    module_.functions.push_back(std::move(f));
  }

  std::vector<Variable> parameters() {
    std::vector<Variable> all;
    while (!tokens_.accept(")")) {
      tokens_.expect(".param");
      all.push_back(parse_variable(tokens_, Space::kParam));
      tokens_.accept(",");
    }
    return all;
  }

  TokenStream tokens_;
  Module module_;
};

}  // namespace

Module parse_module(std::string_view text, const std::string& path) {
  return ModuleParser(text, path).run();
}

Module load_module(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error(path + ": cannot be read");
  std::ostringstream text;
  text << in.rdbuf();
  return parse_module(text.str(), path);
}

}  // namespace varve::ptx
