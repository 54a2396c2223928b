#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <utility>

#include "tests/cuda_on_cpu/kernel_error.h"
#include "tests/cuda_on_cpu/ptx/image.h"
#include "tests/cuda_on_cpu/ptx/machine.h"
#include "tests/cuda_on_cpu/ptx/names.h"

namespace varve::ptx {
namespace {

constexpr std::size_t kSharedAlignment = 1024;  // more than any kernel asks for

namespace fs = std::filesystem;

// Empty if the PTX does not say it.
std::string source_line(const Module& module, const char* before, std::uint32_t file,
                        std::uint32_t line) {
  const auto found = module.files.find(file);
  if (line == 0 || found == module.files.end()) return {};
  return fmt::format("{}{}:{}", before, fs::path(found->second).filename().string(), line);
}

std::string text_of(Extent e) {
  return fmt::format("({},{},{})", e.x, e.y, e.z);
}

}  // namespace

Block::Block(const Program& program, Extent grid, Extent size, std::size_t dynamic_shared,
             const Options& options, std::vector<unsigned char> params)
    : program_(program),
      options_(options),
      grid_(grid),
      size_(size),
      shared_bytes_(dynamic_shared == 0 ? program.shared_bytes
                                        : program.dynamic_at + dynamic_shared),
      params_(std::move(params)),
      shared_store_(std::make_unique<unsigned char[]>(shared_bytes_ + kSharedAlignment)),
      local_(std::make_unique<unsigned char[]>(program.local_bytes * size.count())) {
  const auto begin = reinterpret_cast<std::uintptr_t>(shared_store_.get());
  shared_ = shared_store_.get() + (kSharedAlignment - begin % kSharedAlignment);
  for (unsigned warp = 0; std::size_t{warp} * kLanes < size.count(); ++warp) {
    warps_.push_back(std::make_unique<Warp>(*this, warp));
  }
  if (options.reverse) std::ranges::reverse(warps_);
}

void Block::run(Extent index) {
  index_ = index;
  // Not a number in every format: nobody may read what nobody wrote.
  std::memset(shared_, 0xff, shared_bytes_);
  barriers_.fill({});
  for (const auto& warp : warps_) warp->start();
  run_warps();
}

void Block::run_warps() {
  while (!std::ranges::all_of(warps_, [](const auto& warp) { return warp->done(); })) {
    bool moved = false;
    for (const auto& warp : warps_) moved = warp->run() || moved;
    if (!moved) fail_stuck();
  }
}

bool Block::arrive(const Instruction& instruction, std::uint32_t pc, Warp& warp,
                   std::uint32_t lanes) {
  const auto lane = static_cast<unsigned>(std::countr_zero(lanes));
  if (instruction.extra >= barriers_.size()) warp.fail(instruction, lane, "no such barrier");
  Barrier& barrier = barriers_[instruction.extra];
  if (barrier.arrived == 0) barrier.at = pc;
  if (barrier.at != pc) {
    warp.fail(instruction, lane,
              "threads of one block are at different barriers: others wait" +
                  where(program_.code[barrier.at]));
  }
  barrier.arrived += static_cast<std::size_t>(std::popcount(lanes));
  const std::size_t expected = instruction.count == 0 ? size_.count() : instruction.count;
  if (barrier.arrived < expected) return false;
  barrier = {};
  for (const auto& each : warps_) each->release(pc);
  return true;
}

void Block::fail_stuck() {
  std::string text = "no thread can go on:";
  for (const auto& warp : warps_) text += warp->describe_waiting();
  fail(text);
}

Extent Block::thread(std::size_t index) const {
  return {static_cast<unsigned>(index % size_.x), static_cast<unsigned>(index / size_.x % size_.y),
          static_cast<unsigned>(index / size_.x / size_.y)};
}

std::uint32_t Block::special(Special what, const Warp& warp, unsigned lane) const {
  const Extent tid = thread(std::size_t{warp.index()} * kLanes + lane);
  const std::uint32_t bit = 1U << lane;
  switch (what) {
    case Special::kTidX:
      return tid.x;
    case Special::kTidY:
      return tid.y;
    case Special::kTidZ:
      return tid.z;
    case Special::kNtidX:
      return size_.x;
    case Special::kNtidY:
      return size_.y;
    case Special::kNtidZ:
      return size_.z;
    case Special::kCtaidX:
      return index_.x;
    case Special::kCtaidY:
      return index_.y;
    case Special::kCtaidZ:
      return index_.z;
    case Special::kNctaidX:
      return grid_.x;
    case Special::kNctaidY:
      return grid_.y;
    case Special::kNctaidZ:
      return grid_.z;
    case Special::kLane:
      return lane;
    case Special::kWarp:
      return warp.index();
    case Special::kWarps:
      return static_cast<std::uint32_t>(warps_.size());
    case Special::kMaskEq:
      return bit;
    case Special::kMaskLt:
      return bit - 1;
    case Special::kMaskLe:
      return bit | (bit - 1);
    case Special::kMaskGt:
      return ~(bit | (bit - 1));
    case Special::kMaskGe:
      return ~(bit - 1);
    case Special::kDynamicShared:
      return static_cast<std::uint32_t>(
          shared_bytes_ > program_.shared_bytes ? shared_bytes_ - program_.dynamic_at : 0);
    case Special::kTotalShared:
      return static_cast<std::uint32_t>(shared_bytes_);
    case Special::kZero:
      return 0;
  }
  return 0;
}

bool Block::global_valid(std::uint64_t address, std::size_t bytes) const {
  constexpr std::uint64_t kFirstPage = 4096;
  if (program_.image->holds(address, bytes)) return true;
  if (address < kFirstPage) return false;
  return options_.valid == nullptr || options_.valid(reinterpret_cast<const void*>(address), bytes);
}

std::string Block::where(const Instruction& instruction) const {
  const auto index = static_cast<std::size_t>(&instruction - program_.code.data());
  const Module& module = program_.image->module();
  if (index >= program_.function->code.size()) return " at the end of " + module.path;
  const Statement& statement = program_.function->code[index];
  const Place& place = statement.place;
  const fs::path ptx(module.path);
  // The folder's name says which architecture it is for.
  return fmt::format(" at {}:{} '{}'{}{}", (ptx.parent_path().filename() / ptx.filename()).string(),
                     place.line, statement.text,
                     source_line(module, " of ", place.source_file, place.source_line),
                     source_line(module, ", called at ", place.caller_file, place.caller_line));
}

std::string Block::describe_thread(const Warp& warp, unsigned lane) const {
  return "thread " + text_of(thread(std::size_t{warp.index()} * kLanes + lane));
}

void Block::fail(const std::string& why) const {
  throw KernelError(readable_name(program_.function->name) + ", block " + text_of(index_) + ": " +
                    why);
}

}  // namespace varve::ptx
