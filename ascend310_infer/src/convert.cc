// ONNX to MindSpore Lite's own .mindir, through the library of the Python wheel, which has no converter program.
//
//   dprnn_convert IN.onnx OUT.mindir

#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "include/api/status.h"
#include "include/api/types.h"
#include "include/registry/converter_context.h"

#include "error.h"
#include "quiet.h"

namespace mindspore {

// As in the vendor's converter.h, which the wheel leaves out: the symbols are those of libmindspore_converter.so.
class MS_API Converter {
 public:
  Converter();
  ~Converter() = default;
  void SetSaveType(ModelType type);
  Status Convert(converter::FmkType from, const std::vector<char> &model, const std::vector<char> &output,
                 const std::vector<char> &weights);

 private:
  struct Data;
  std::shared_ptr<Data> data_;
};

}  // namespace mindspore

namespace {

namespace fs = std::filesystem;

std::vector<char> Chars(const std::string &text) { return {text.begin(), text.end()}; }

// A folder that goes away with everything in it.
class ScratchFolder {
 public:
  explicit ScratchFolder(const fs::path &beside) {
    std::string name = (beside / ".convert.XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) {
      throw dprnn::Error(beside.string() + ": cannot write here");
    }
    path_ = name;
  }
  ~ScratchFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder &) = delete;
  ScratchFolder &operator=(const ScratchFolder &) = delete;
  const fs::path &path() const { return path_; }

 private:
  fs::path path_;
};

void Convert(const fs::path &from, const fs::path &to) {
  if (!fs::is_regular_file(from)) {
    throw dprnn::Error(from.string() + ": no such model");
  }
  if (to.extension() != ".mindir") {
    throw dprnn::Error(to.string() + ": the converted model's name must end in .mindir");
  }
  const fs::path folder = to.has_parent_path() ? to.parent_path() : fs::path(".");
  std::error_code failed;
  fs::create_directories(folder, failed);
  const ScratchFolder scratch(folder);
  const fs::path made = scratch.path() / "model.mindir";

  mindspore::Converter converter;
  converter.SetSaveType(mindspore::kMindIR);
  const auto status = converter.Convert(mindspore::converter::kFmkTypeOnnx, Chars(from.string()),
                                        Chars((scratch.path() / "model").string()), {});
  if (status.IsError() || !fs::is_regular_file(made)) {
    throw dprnn::Error(from.string() + ": MindSpore Lite cannot convert it (GLOG_v=2 shows its reasons)");
  }
  chmod(made.c_str(), 0644);  // Lite leaves it read-only
  fs::rename(made, to);
}

}  // namespace

int main(int argc, char **argv) {
  dprnn::QuietLibrary(argv);
  if (argc != 3 || std::string(argv[1]) == "--help") {
    std::cerr << "usage: dprnn_convert IN.onnx OUT.mindir\n";
    return argc == 2 && std::string(argv[1]) == "--help" ? EXIT_SUCCESS : EXIT_FAILURE;
  }
  try {
    Convert(argv[1], argv[2]);
  } catch (const std::exception &error) {
    std::cerr << "error: " << error.what() << std::endl;
    return EXIT_FAILURE;
  }
  std::cout << argv[2] << ": " << fs::file_size(argv[2]) << " bytes" << std::endl;
  return EXIT_SUCCESS;
}
