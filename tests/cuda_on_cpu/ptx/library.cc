#include "tests/cuda_on_cpu/ptx/library.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <regex>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "tests/cuda_on_cpu/ptx/names.h"
#include "tests/cuda_on_cpu/ptx/parser.h"

namespace varve::ptx {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> ptx_files(const std::string& path) {
  if (!fs::is_directory(path)) return {path};
  std::vector<std::string> files;
  for (const auto& entry : fs::directory_iterator(path)) {
    if (entry.path().extension() == ".ptx") files.push_back(entry.path().string());
  }
  std::ranges::sort(files);
  return files;
}

// Up to the parenthesis that opens the parameters: the first one that is in no template argument
// and does not begin "(anonymous namespace)".
std::string_view without_parameters(std::string_view name) {
  int depth = 0;
  for (std::size_t at = 0; at < name.size(); ++at) {
    depth += name[at] == '<' ? 1 : name[at] == '>' ? -1 : 0;
    if (depth == 0 && name[at] == '(') return name.substr(0, at);
  }
  return name;
}

// Only templates have one: it ends with the last space outside of template arguments.
std::string_view without_return_type(std::string_view name) {
  int depth = 0;
  std::size_t begin = 0;
  for (std::size_t at = 0; at < name.size(); ++at) {
    depth += name[at] == '<' ? 1 : name[at] == '>' ? -1 : 0;
    if (depth == 0 && name[at] == ' ') begin = at + 1;
  }
  return name.substr(begin);
}

bool takes(const Function& entry, std::span<const std::size_t> bytes) {
  return std::ranges::equal(entry.params, bytes, {}, &Variable::bytes);
}

}  // namespace

std::string plain_name(std::string_view readable) {
  static const std::regex unnamed(
      R"(\{anonymous\}|\(anonymous namespace\)|<unnamed>|_(GLOBAL__N_|INTERNAL)_\w*)");
  static const std::regex suffix(R"(\b(\d+)(ul|u|l)\b)");
  std::string name = std::regex_replace(std::string(readable), unnamed, "_unnamed");
  name = std::string(without_return_type(without_parameters(name)));
  return std::regex_replace(name, suffix, "$1");
}

void Library::add(const std::string& paths) {
  std::istringstream list(paths);
  for (std::string path; std::getline(list, path, ':');) {
    for (const std::string& file : ptx_files(path)) {
      images_.push_back(std::make_unique<Image>(load_module(file)));
    }
  }
}

const Program& Library::find(const std::string& mangled, std::string_view readable,
                             std::span<const std::size_t> parameter_bytes) {
  const std::string plain = plain_name(readable);
  std::string key = fmt::format("{} {} {}", mangled, plain, fmt::join(parameter_bytes, " "));
  const auto [known, added] = found_.try_emplace(std::move(key), nullptr);
  if (!added && known->second != nullptr) return *known->second;
  std::vector<const Program*> candidates;
  for (const auto& image : images_) {
    if (const Program* const program = image->find(mangled)) return *(known->second = program);
    for (const Function& function : image->module().functions) {
      if (function.entry && takes(function, parameter_bytes) &&
          plain_name(readable_name(function.name)) == plain) {
        candidates.push_back(image->find(function.name));
      }
    }
  }
  if (candidates.size() != 1) {
    throw std::runtime_error("the PTX has " + std::to_string(candidates.size()) + " kernels " +
                             plain + "; is VARVE_PTX what nvcc made of this program's kernels?");
  }
  return *(known->second = candidates[0]);
}

}  // namespace varve::ptx
