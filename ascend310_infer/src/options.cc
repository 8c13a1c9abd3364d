#include "options.h"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>
#include <map>
#include <set>
#include <sstream>

#include "error.h"

namespace dprnn {

const char kUsage[] =
    R"(usage: dprnn_infer --model M.mindir --input WAV_OR_FOLDER --output FOLDER [options]
Separates a wav, or every wav of a folder, into one wav per speaker: NAME_s1.wav, NAME_s2.wav, ...
  --model M.mindir      made by the converter from export.py's ONNX; its M.meta.json lies beside it
  --input PATH          a wav (PCM of 16, 24 or 32 bits, or float) at the model's sample rate, or a folder of wavs
  --output FOLDER       made if it is missing
  --device cpu|ascend   (cpu)
  --device_id N         which Ascend device (0)
  --threads N           CPU threads (the cores this process may use)
  --precision fp32|fp16 (fp32) fp16: on Ascend and ARM
  --channel mean|N      of recordings with several channels their mean, or one; the first is 0 (mean)
  --window SECONDS      longer recordings are run in windows (30); models of one length have their own window
  --overlap SECONDS     of neighbouring windows (4); half a window for models of one length
  --overwrite 0|1       replace outputs that exist (0)
GLOG_v=1 in the environment shows MindSpore Lite's own messages.
)";

namespace {

// Cores this process may run on, which in a container or under taskset are fewer than the machine has.
int AvailableCores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return sched_getaffinity(0, sizeof(set), &set) == 0 ? std::max(CPU_COUNT(&set), 1) : 1;
}

[[noreturn]] void Bad(const std::string &name, const std::string &value, const std::string &expected) {
  throw Error("--" + name + " " + value + ": expected " + expected);
}

int Whole(const std::string &name, const std::string &value, int low, int high) {
  int number = 0;
  const char *end = value.data() + value.size();
  const auto result = std::from_chars(value.data(), end, number);
  if (result.ec != std::errc() || result.ptr != end || number < low || number > high) {
    Bad(name, value, "a whole number from " + std::to_string(low) + " to " + std::to_string(high));
  }
  return number;
}

double Seconds(const std::string &name, const std::string &value, double low, double high) {
  double number = 0;
  const char *end = value.data() + value.size();
  const auto result = std::from_chars(value.data(), end, number);
  if (result.ec != std::errc() || result.ptr != end || !(number >= low && number <= high)) {
    std::ostringstream range;
    range << "seconds from " << low << " to " << high;
    Bad(name, value, range.str());
  }
  return number;
}

template <class T>
T OneOf(const std::string &name, const std::string &value, const std::map<std::string, T> &choices) {
  const auto found = choices.find(value);
  if (found == choices.end()) {
    std::string names;
    for (const auto &[choice, unused] : choices) {
      names += (names.empty() ? "" : " or ") + choice;
    }
    Bad(name, value, names);
  }
  return found->second;
}

}  // namespace

Options ParseOptions(const std::vector<std::string> &arguments) {
  constexpr int kMost = 1 << 16;
  constexpr double kLongest = 3600;  // s
  Options options;
  options.threads = AvailableCores();
  using Value = const std::string &;
  const std::map<std::string, std::function<void(Value)>> setters = {
      {"model", [&](Value v) { options.model = v; }},
      {"input", [&](Value v) { options.input = v; }},
      {"output", [&](Value v) { options.output = v; }},
      {"device", [&](Value v) {
         options.device = OneOf<Device>("device", v, {{"cpu", Device::kCpu}, {"ascend", Device::kAscend}});
       }},
      {"device_id", [&](Value v) { options.device_id = Whole("device_id", v, 0, kMost); }},
      {"threads", [&](Value v) { options.threads = Whole("threads", v, 1, kMost); }},
      {"precision", [&](Value v) {
         options.precision = OneOf<Precision>("precision", v, {{"fp32", Precision::kFp32}, {"fp16", Precision::kFp16}});
       }},
      {"channel", [&](Value v) { options.channel = v == "mean" ? kMeanOfChannels : Whole("channel", v, 0, kMost); }},
      {"overwrite", [&](Value v) { options.overwrite = OneOf<bool>("overwrite", v, {{"0", false}, {"1", true}}); }},
      {"window", [&](Value v) { options.window = Seconds("window", v, 0.1, kLongest); }},
      {"overlap", [&](Value v) { options.overlap = Seconds("overlap", v, 0.01, kLongest); }},
  };
  std::set<std::string> seen;
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] == "--help" || arguments[i] == "-h") {
      options.help = true;
      return options;
    }
    const size_t equals = arguments[i].find('=');
    std::string name = arguments[i].substr(0, equals);
    std::replace(name.begin(), name.end(), '-', '_');
    const auto setter = name.compare(0, 2, "__") == 0 ? setters.find(name.substr(2)) : setters.end();
    if (setter == setters.end()) {
      throw Error(arguments[i] + ": unknown option; --help lists them");
    }
    if (!seen.insert(setter->first).second) {
      throw Error("--" + setter->first + ": given twice");
    }
    if (equals == std::string::npos && i + 1 == arguments.size()) {
      throw Error("--" + setter->first + ": its value is missing");
    }
    setter->second(equals == std::string::npos ? arguments[++i] : arguments[i].substr(equals + 1));
  }
  for (const char *needed : {"model", "input", "output"}) {
    if (seen.count(needed) == 0) {
      throw Error("--" + std::string(needed) + " is missing; --help lists the options");
    }
  }
  if (options.overlap > options.window / 2) {
    throw Error("--overlap: at most half of --window");
  }
  return options;
}

}  // namespace dprnn
