#include "tests/kernels/fixtures.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "kernels/float16.h"
#include "kernels/reference/dequantize.h"
#include "tests/kernels/mirrored_ops.h"
#include "tests/support/near.h"

namespace varve::test {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

void put_half(std::uint8_t* at, float value) {
  const std::uint16_t half = f32_to_f16(value);
  std::memcpy(at, &half, sizeof(half));
}

// Bytes of a block at which a float16 stands.
std::vector<std::size_t> half_offsets(DType dtype) {
  switch (dtype) {
    case DType::kQ4_0:
    case DType::kQ5_0:
    case DType::kQ8_0:
      return {0};
    case DType::kQ6_K:
      return {208};
    default:
      return {0, 2};
  }
}

void put_plain(DType dtype, float value, std::uint8_t* at) {
  const std::uint16_t half = dtype == DType::kF16 ? f32_to_f16(value) : f32_to_bf16(value);
  if (dtype == DType::kF32) {
    std::memcpy(at, &value, sizeof(value));
  } else {
    std::memcpy(at, &half, sizeof(half));
  }
}

bool rounds_to_16_bits(const Ops& ops) {
  return ops.describe().find("bfloat16") != std::string::npos;
}

}  // namespace

std::unique_ptr<Ops> test_ops(const std::string& backend, std::size_t threads) {
  std::unique_ptr<Ops> ops = make_ops(backend, threads);
  return backend.starts_with("cuda") ? make_mirrored_ops(std::move(ops)) : std::move(ops);
}

double product_roundoff(const Ops& ops) {
  return rounds_to_16_bits(ops) ? 0x1p-8 : kEps;
}

double attention_roundoff(const Ops& ops, DType dtype) {
  if (!rounds_to_16_bits(ops) || dtype == DType::kF32) return kEps;
  return dtype == DType::kBF16 ? 0x1p-8 : 0x1p-11;
}

std::string test_name(const std::string& text) {
  std::string name;
  std::copy_if(text.begin(), text.end(), std::back_inserter(name),
               [](unsigned char c) { return std::isalnum(c) != 0; });
  return name;
}

// xorshift64* (Vigna 2016).
std::uint64_t Random::bits() {
  state_ ^= state_ >> 12U;
  state_ ^= state_ << 25U;
  state_ ^= state_ >> 27U;
  return (state_ * 2685821657736338717U) >> 16U;
}

float Random::real() {
  return static_cast<float>(bits() % (1U << 24U)) * 0x1p-23F - 1.0F;
}

Rows::Rows(std::size_t rows, std::size_t cols, std::size_t gap)
    : rows_(rows), cols_(cols), stride_(cols + gap), data_(rows * stride_, kNan) {
  for (std::size_t r = 0; r < rows; ++r) std::fill_n(row(r), cols, 0.0F);
}

Rows Rows::random(std::size_t rows, std::size_t cols, Random& random, std::size_t gap) {
  Rows result(rows, cols, gap);
  for (std::size_t r = 0; r < rows; ++r) {
    std::generate_n(result.row(r), cols, [&] { return random.real(); });
  }
  return result;
}

bool Rows::gaps_intact() const {
  for (std::size_t i = 0; i < data_.size(); ++i) {
    if (i % stride_ >= cols_ && !std::isnan(data_[i])) return false;
  }
  return true;
}

StoredWeight::StoredWeight(DType dtype, std::size_t rows, std::size_t cols, Random& random)
    : dtype_(dtype), rows_(rows), cols_(cols), bytes_(rows * row_bytes(dtype, cols)) {
  const DTypeInfo& info = dtype_info(dtype);
  for (std::uint8_t& byte : bytes_) byte = static_cast<std::uint8_t>(random.bits());
  for (std::size_t at = 0; at < bytes_.size(); at += info.block_bytes) {
    if (info.block_size == 1) {
      put_plain(dtype, random.real(), bytes_.data() + at);
      continue;
    }
    for (const std::size_t offset : half_offsets(dtype)) {
      put_half(bytes_.data() + at + offset, random.real() * 0.05F);
    }
  }
}

std::vector<float> StoredWeight::decoded() const {
  std::vector<float> values(rows_ * cols_);
  for (std::size_t r = 0; r < rows_; ++r) {
    dequantize(dtype_, bytes_.data() + r * row_bytes(dtype_, cols_), cols_,
               values.data() + r * cols_);
  }
  return values;
}

Weight vector_weight(Ops& ops, const std::vector<float>& values) {
  return ops.prepare({values.data(), DType::kF32, 1, values.size()});
}

CachedRows::CachedRows(DType dtype, std::size_t kv_heads, std::size_t head_dim,
                       std::size_t capacity)
    : CachedRows(dtype, head_dim, std::vector<std::size_t>(kv_heads, capacity)) {
  shared_positions_ = true;
  positions_.resize(capacity);
}

CachedRows::CachedRows(DType dtype, std::size_t head_dim,
                       const std::vector<std::size_t>& capacities)
    : dtype_(dtype), head_dim_(head_dim), shared_positions_(false) {
  std::size_t rows = 0;
  for (const std::size_t capacity : capacities) {
    room_.push_back({static_cast<std::uint32_t>(rows), static_cast<std::uint32_t>(capacity)});
    rows += stored_rows(dtype, capacity);
  }
  keys_.assign(key_bytes(dtype, rows, head_dim), 0xFF);  // NaN in all float formats
  values_.assign(value_bytes(dtype, rows, head_dim), 0xFF);
  positions_.assign(rows, -1);
}

std::span<const HeadRows> CachedRows::keep(std::vector<HeadRows> heads) const {
  views_.push_back(std::move(heads));
  return views_.back();
}

SegmentStore CachedRows::store() {
  return {dtype_, keys_.data(), values_.data(), positions_.data(), shared_positions_,
          room_,  head_dim_};
}

SegmentStore CachedRows::store(std::size_t rows) {
  SegmentStore store = this->store();
  store.heads = view(rows).heads;
  return store;
}

SegmentView CachedRows::view() const {
  return {dtype_, keys_.data(), values_.data(), positions_.data(), shared_positions_,
          room_,  head_dim_};
}

SegmentView CachedRows::view(std::size_t rows) const {
  return view(0, rows);
}

SegmentView CachedRows::view(std::size_t begin, std::size_t end) const {
  std::vector<HeadRows> heads = room_;
  for (HeadRows& head : heads) {
    head.begin += static_cast<std::uint32_t>(begin);
    head.rows = static_cast<std::uint32_t>(end - begin);
  }
  SegmentView part = view();
  part.heads = keep(std::move(heads));
  if (shared_positions_) part.positions += begin;
  return part;
}

State::State(Ops& by, std::size_t rows, std::size_t heads, std::size_t dim)
    : ops(&by), out(rows, heads * dim), lse(rows, heads) {
  by.clear(view());
}

}  // namespace varve::test
