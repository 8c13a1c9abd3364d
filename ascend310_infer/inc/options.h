// What the user asks for.
#ifndef DPRNN_OPTIONS_H_
#define DPRNN_OPTIONS_H_

#include <string>
#include <vector>

#include "wav.h"

namespace dprnn {

enum class Device { kCpu, kAscend };
enum class Precision { kFp32, kFp16 };

struct Options {
  bool help = false;
  std::string model;
  std::string input;
  std::string output;
  Device device = Device::kCpu;
  int device_id = 0;
  int threads = 0;  // set to the cores this process may use
  Precision precision = Precision::kFp32;
  int channel = kMeanOfChannels;
  bool overwrite = false;
  double window = 30;   // s; of models that take any length
  double overlap = 4;   // s
};

extern const char kUsage[];

// Throws Error for an unknown, repeated, incomplete or impossible option, or a missing one.
Options ParseOptions(const std::vector<std::string> &arguments);

}  // namespace dprnn

#endif  // DPRNN_OPTIONS_H_
