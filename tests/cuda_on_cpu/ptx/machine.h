// A block of threads that runs a Program, warp by warp. The lanes of a warp that stand at the
// lowest instruction run together until they meet others or part; so lanes that parted meet again
// as soon as they can. A warp runs until it has to wait, then the next one does.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tests/cuda_on_cpu/ptx/cells.h"
#include "tests/cuda_on_cpu/ptx/program.h"

namespace varve::ptx {

struct Extent {
  unsigned x = 1, y = 1, z = 1;

  std::size_t count() const { return std::size_t{x} * y * z; }
};

struct Options {
  /// cp.async reads and writes when it is waited for, else when it is begun. Hardware may do
  /// either.
  bool late_copies = true;
  /// Which warp of a block, and which block of a grid, goes first.
  bool reverse = false;
  /// Whether a kernel may touch these bytes of global memory; nullptr: it may touch any.
  bool (*valid)(const void* begin, std::size_t bytes) = nullptr;
  /// Instructions of one warp after which a block is said to hang.
  std::uint64_t most_steps = std::uint64_t{1} << 28U;
};

class Block;

class Warp {
 public:
  Warp(Block& block, unsigned index);

  /// Runs until every lane has ended or waits. False if none could move.
  bool run();
  void start();

  template <class T>
  Cell<T>* cells(std::uint32_t slot) {
    if constexpr (sizeof(T) == 8) {
      return longs_.data() + std::size_t{slot} * kLanes;
    } else {
      return words_.data() + std::size_t{slot} * kLanes;
    }
  }
  /// A bit per lane.
  std::uint32_t& predicate(std::uint32_t slot) { return predicates_[slot]; }
  void set_predicate(std::uint32_t slot, std::uint32_t bits, std::uint32_t lanes) {
    predicates_[slot] = (predicates_[slot] & ~lanes) | (bits & lanes);
  }

  /// Address i of the instruction as the lane computes it.
  std::uint64_t address(const Instruction& instruction, std::size_t i, unsigned lane) {
    const std::uint32_t slot = instruction.slot[instruction.slot.size() - 1 - i];
    const std::uint64_t base =
        instruction.wide[i] ? cells<std::uint64_t>(slot)[lane] : cells<std::uint32_t>(slot)[lane];
    return base + static_cast<std::uint64_t>(instruction.offset[i]);
  }

  Block& block() { return block_; }
  unsigned index() const { return index_; }
  std::uint32_t existing() const { return exist_; }
  std::uint32_t ended() const { return ended_; }
  bool done() const { return ended_ == exist_; }
  /// Lanes that stand at this instruction and wait for a barrier go on.
  void release(std::uint32_t at);
  /// "thread (1,0,0) at x.ptx:12 'bar.sync 0' (x.cu:3)" for each instruction where lanes wait.
  std::string describe_waiting() const;

  void begin_copy(unsigned lane, unsigned char* to, const unsigned char* from, unsigned bytes,
                  unsigned filled);
  void commit_copies(std::uint32_t lanes);
  /// Until at most `pending` groups of each lane are under way.
  void wait_copies(std::uint32_t lanes, unsigned pending);

  [[noreturn]] void fail(const Instruction& instruction, unsigned lane, const std::string& why);

 private:
  struct Copy {
    unsigned char* to;
    const unsigned char* from;
    unsigned bytes, filled;
    std::uint64_t group;
  };
  struct LaneCopies {
    std::vector<Copy> pending;
    std::uint64_t group = 0;  // that is being filled
  };

  bool select();
  void go();
  std::uint32_t passing(const Instruction& instruction) const;
  /// Each returns whether the lanes that were selected still run together.
  bool step(const Instruction& instruction);
  bool branch(const Instruction& instruction, std::uint32_t lanes);
  bool branch_by_table(const Instruction& instruction, std::uint32_t lanes);
  bool end(const Instruction& instruction, std::uint32_t lanes);
  bool meet(const Instruction& instruction, std::uint32_t lanes);
  bool wait_at_barrier(const Instruction& instruction, std::uint32_t lanes);
  std::uint32_t complete(const Instruction& instruction, std::uint32_t arrived);
  void put(std::uint32_t lanes, std::uint32_t pc);
  void land(const Copy& copy) const;

  Block& block_;
  unsigned index_;
  std::uint32_t exist_;
  std::vector<std::uint32_t> words_;
  std::vector<std::uint64_t> longs_;
  std::vector<std::uint32_t> predicates_;
  std::array<LaneCopies, kLanes> copies_;

  std::array<std::uint32_t, kLanes> pc_{};  // of lanes that are not selected
  std::uint32_t ended_ = 0;
  std::uint32_t at_barrier_ = 0;
  std::uint32_t at_group_ = 0;  // wait for other lanes of their mask
  std::uint32_t active_ = 0;    // selected
  std::uint32_t at_ = 0;        // where those are
  std::uint32_t limit_ = 0;     // the lowest instruction of the other lanes that can run
  std::uint64_t steps_ = 0;
};

class Block {
 public:
  Block(const Program& program, Extent grid, Extent size, std::size_t dynamic_shared,
        const Options& options, std::vector<unsigned char> params);

  void run(Extent index);

  const Program& program() const { return program_; }
  const Options& options() const { return options_; }
  Extent size() const { return size_; }
  Extent thread(std::size_t index) const;
  /// What a special register holds in a lane.
  std::uint32_t special(Special what, const Warp& warp, unsigned lane) const;

  unsigned char* shared() { return shared_; }
  std::size_t shared_bytes() const { return shared_bytes_; }
  unsigned char* local(std::size_t thread) { return local_.get() + thread * program_.local_bytes; }
  std::vector<unsigned char>& params() { return params_; }
  /// Whether the bytes are the module's own variables or may be touched.
  bool global_valid(std::uint64_t address, std::size_t bytes) const;

  /// Lanes come to a barrier. True if it opened, for them and for all that waited.
  bool arrive(const Instruction& instruction, std::uint32_t pc, Warp& warp, std::uint32_t lanes);

  std::string where(const Instruction& instruction) const;
  std::string describe_thread(const Warp& warp, unsigned lane) const;
  [[noreturn]] void fail(const std::string& why) const;

 private:
  struct Barrier {
    std::size_t arrived = 0;
    std::uint32_t at = 0;
  };

  void run_warps();
  [[noreturn]] void fail_stuck();

  const Program& program_;
  Options options_;
  Extent grid_, size_, index_{};
  std::size_t shared_bytes_;
  std::vector<unsigned char> params_;
  std::unique_ptr<unsigned char[]> shared_store_, local_;
  unsigned char* shared_;
  std::array<Barrier, 16> barriers_;
  std::vector<std::unique_ptr<Warp>> warps_;
};

}  // namespace varve::ptx
