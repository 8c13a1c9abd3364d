// Which files go in and which come out.
#ifndef DPRNN_FILES_H_
#define DPRNN_FILES_H_

#include <filesystem>
#include <string>
#include <vector>

namespace dprnn {

struct Inputs {
  std::vector<std::filesystem::path> wavs;  // sorted by name
  size_t others = 0;                        // files of a folder that are no wavs
};

// A wav, or the wavs of a folder (not of its subfolders).
// Throws Error: nothing there, no wav in it, or an output folder that would mix with the input.
Inputs FindInputs(const std::filesystem::path &input, const std::filesystem::path &output);

// <folder>/<name>_s1.wav, ... as separate.py names them.
std::vector<std::filesystem::path> OutputPaths(const std::filesystem::path &source,
                                               const std::filesystem::path &folder, size_t speakers);

}  // namespace dprnn

#endif  // DPRNN_FILES_H_
