#include "common/io/mapped_file.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <functional>
#include <system_error>
#include <utility>

#include "common/error.h"

namespace varve {
namespace {

int advice_of(MappedFile::Access access) {
  switch (access) {
    case MappedFile::Access::kSequential:
      return MADV_SEQUENTIAL;
    case MappedFile::Access::kRandom:
      return MADV_RANDOM;
    case MappedFile::Access::kWillNeed:
      return MADV_WILLNEED;
    case MappedFile::Access::kDontNeed:
      return MADV_DONTNEED;
  }
  VARVE_CHECK(false, "access {}", static_cast<int>(access));
}

void unmap(std::span<const std::byte> bytes) {
  if (!bytes.empty()) ::munmap(const_cast<std::byte*>(bytes.data()), bytes.size());
}

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path)
    : file_(std::make_unique<RegularFile>(path)) {
  if (file_->size() == 0) throw IoError(fmt::format("{}: is empty", path.string()));
  void* base = ::mmap(nullptr, file_->size(), PROT_READ, MAP_SHARED, file_->descriptor(), 0);
  if (base == MAP_FAILED) {
    throw IoError(fmt::format("{}: cannot be mapped into memory: {}", path.string(),
                              std::generic_category().message(errno)));
  }
  bytes_ = {static_cast<const std::byte*>(base), file_->size()};
}

MappedFile::~MappedFile() {
  unmap(bytes_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : file_(std::move(other.file_)), bytes_(std::exchange(other.bytes_, {})) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  if (this != &other) {
    unmap(bytes_);
    file_ = std::move(other.file_);
    bytes_ = std::exchange(other.bytes_, {});
  }
  return *this;
}

bool MappedFile::holds(const void* address) const {
  const auto* begin = bytes_.data();
  const std::less<const void*> before;
  return !before(address, begin) && before(address, begin + bytes_.size());
}

void MappedFile::advise(Access access, std::span<const std::byte> part) const {
  const auto offset = static_cast<std::size_t>(part.data() - bytes_.data());
  VARVE_CHECK(offset <= bytes_.size() && part.size() <= bytes_.size() - offset,
              "part of {} bytes at {} of {}", part.size(), offset, bytes_.size());
  if (part.empty()) return;
  // Whole pages only: the start is rounded down, the kernel rounds the end up. Giving back the
  // neighbour's bytes too is harmless, they are read again.
  const std::size_t excess = offset % static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  ::madvise(const_cast<std::byte*>(part.data() - excess), part.size() + excess, advice_of(access));
}

}  // namespace varve
