#include "files.h"

#include <algorithm>
#include <cctype>
#include <set>
#include <system_error>

#include "error.h"

namespace dprnn {

namespace fs = std::filesystem;

Inputs FindInputs(const fs::path &input, const fs::path &output) {
  std::error_code failed;
  const fs::file_status status = fs::status(input, failed);
  if (!fs::exists(status)) {
    throw Error(input.string() + ": no such file or folder");
  }
  Inputs inputs;
  if (!fs::is_directory(status)) {
    inputs.wavs.push_back(input);
    return inputs;
  }
  if (fs::equivalent(input, output, failed)) {
    throw Error(output.string() + ": is the input folder, too; give the outputs their own");
  }
  fs::directory_iterator entries(input, failed);
  if (failed) {
    throw Error(input.string() + ": cannot be read: " + failed.message());
  }
  std::set<fs::path> stems;
  for (const fs::directory_entry &entry : entries) {
    if (entry.is_directory(failed)) {
      continue;
    }
    std::string suffix = entry.path().extension().string();
    std::transform(suffix.begin(), suffix.end(), suffix.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (suffix != ".wav") {
      ++inputs.others;
      continue;
    }
    if (!stems.insert(entry.path().stem()).second) {
      throw Error(entry.path().string() + ": another wav has the same name but for its suffix; rename one");
    }
    inputs.wavs.push_back(entry.path());
  }
  if (inputs.wavs.empty()) {
    throw Error(input.string() + ": holds no wav");
  }
  std::sort(inputs.wavs.begin(), inputs.wavs.end());
  return inputs;
}

std::vector<fs::path> OutputPaths(const fs::path &source, const fs::path &folder, size_t speakers) {
  std::vector<fs::path> paths;
  for (size_t c = 1; c <= speakers; ++c) {
    paths.push_back(folder / (source.stem().string() + "_s" + std::to_string(c) + ".wav"));
  }
  return paths;
}

}  // namespace dprnn
