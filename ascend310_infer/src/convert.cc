// ONNX to MindSpore Lite's own .mindir, through the library of the Python wheel, which has no converter program.
//
//   dprnn_convert IN.onnx OUT.mindir

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "include/api/context.h"
#include "include/api/model.h"
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

bool WriteMindir(const std::string &from, const fs::path &made) {
  mindspore::Converter converter;
  converter.SetSaveType(mindspore::kMindIR);
  const std::string output = fs::path(made).replace_extension().string();  // Lite adds the suffix
  return converter.Convert(mindspore::converter::kFmkTypeOnnx, Chars(from), Chars(output), {}).IsOk();
}

// The converter reports success for graphs that Lite cannot load.
bool Loads(const fs::path &made) {
  auto context = std::make_shared<mindspore::Context>();
  context->SetThreadNum(1);
  context->MutableDeviceInfo().push_back(std::make_shared<mindspore::CPUDeviceInfo>());
  mindspore::Model model;
  return model.Build(made.string(), mindspore::kMindIR, context).IsOk();
}

// Runs it in a process of its own: Lite crashes on some graphs, and cannot load in the process that converted.
bool Succeeds(const std::function<bool()> &work) {
  const pid_t child = fork();
  if (child == 0) {
    bool good = false;
    try {
      good = work();
    } catch (const std::exception &) {
    }
    _exit(good ? EXIT_SUCCESS : EXIT_FAILURE);
  }
  int status = 0;
  return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS;
}

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
  if (!Succeeds([&] { return WriteMindir(from.string(), made); }) || !Succeeds([&] { return Loads(made); })) {
    throw dprnn::Error(from.string() + ": MindSpore Lite cannot convert it (GLOG_v=2 shows its reasons)");
  }
  fs::permissions(made, fs::perms::owner_read | fs::perms::owner_write | fs::perms::group_read |
                            fs::perms::others_read);  // Lite leaves it read-only
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
