#include "common/io/sha256.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>
#include <memory>
#include <vector>

#include "common/error.h"
#include "common/io/regular_file.h"

namespace varve {
namespace {

class Sha256 {
 public:
  Sha256() {
    VARVE_CHECK(
        context_ != nullptr && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1,
        "OpenSSL has no SHA-256");
  }

  void add(std::span<const std::byte> bytes) {
    const int done = EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size());
    VARVE_CHECK(done == 1, "EVP_DigestUpdate returned {}", done);
  }

  std::string hex() {
    std::array<unsigned char, 32> digest{};
    const int done = EVP_DigestFinal_ex(context_.get(), digest.data(), nullptr);
    VARVE_CHECK(done == 1, "EVP_DigestFinal_ex returned {}", done);
    std::string text;
    for (const unsigned char byte : digest) text += fmt::format("{:02x}", byte);
    return text;
  }

 private:
  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  std::unique_ptr<EVP_MD_CTX, Free> context_{EVP_MD_CTX_new()};
};

}  // namespace

std::string sha256_hex(std::span<const std::byte> bytes) {
  Sha256 hash;
  hash.add(bytes);
  return hash.hex();
}

std::string sha256_hex(const std::filesystem::path& path) {
  RegularFile file(path);
  Sha256 hash;
  std::vector<std::byte> block(std::size_t{1} << 20);
  while (const std::size_t count = file.read(block)) {
    hash.add(std::span(block).first(count));
  }
  return hash.hex();
}

}  // namespace varve
