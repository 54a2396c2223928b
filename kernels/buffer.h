// Memory of a backend, owned. Movable, never copied; freed by whoever allocated it.
#pragma once

#include <cstddef>
#include <utility>

namespace varve {

class Buffer {
 public:
  /// Gets the data and the context that the buffer was made with.
  using Free = void (*)(void* data, void* context) noexcept;

  Buffer() = default;
  Buffer(void* data, std::size_t bytes, Free free, void* context = nullptr)
      : data_(data), bytes_(bytes), free_(free), context_(context) {}
  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    Buffer taken(std::move(other));
    swap(taken);
    return *this;
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() {
    if (data_ != nullptr) free_(data_, context_);
  }

  void* data() const { return data_; }
  template <class T>
  T* as() const {
    return static_cast<T*>(data_);
  }
  std::size_t bytes() const { return bytes_; }

 private:
  void swap(Buffer& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    std::swap(free_, other.free_);
    std::swap(context_, other.context_);
  }

  void* data_ = nullptr;
  std::size_t bytes_ = 0;
  Free free_ = nullptr;
  void* context_ = nullptr;
};

}  // namespace varve
