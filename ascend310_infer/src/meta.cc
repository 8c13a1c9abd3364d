#include "meta.h"

#include <filesystem>
#include <fstream>
#include <iterator>

#include "error.h"
#include "json.h"
#include "sha256.h"

namespace dprnn {
namespace {

namespace fs = std::filesystem;

constexpr long kMostSpeakers = 8;  // every order of the speakers is tried
constexpr long kHighestRate = 768000;
constexpr long kLongest = 1L << 31;  // samples

// "hop", or in files of before it was there half the kernel of the encoder.
long Hop(const Json &json) {
  if (json.object().count("hop") > 0) {
    return json.at("hop").integer(1, kHighestRate);
  }
  return json.at("config").at("kernel_size").integer(2, kHighestRate) / 2;
}

Meta Facts(const Json &json) {
  Meta meta;
  meta.format = json.at("format").string();
  meta.sample_rate = static_cast<int>(json.at("sample_rate").integer(1, kHighestRate));
  meta.speakers = static_cast<int>(json.at("num_spks").integer(1, kMostSpeakers));
  meta.hop = static_cast<int>(Hop(json));
  const Json::Array &input = json.at("input").array();
  if (input.size() != 2) {
    throw Error("expected \"input\": [batch, length]");
  }
  if (!input[0].is_null()) {
    meta.batch = input[0].integer(1, 1 << 16);
  }
  if (!input[1].is_null()) {
    meta.length = input[1].integer(1, kLongest);
  }
  return meta;
}

std::string ReadText(const fs::path &path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    throw Error(path.string() + ": missing; export.py writes it beside the model, and both belong together");
  }
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

Meta ParseMeta(const std::string &text) { return Facts(Json::Parse(text)); }

Meta ReadMeta(const std::string &model_path) {
  if (!fs::is_regular_file(model_path)) {
    throw Error(model_path + ": no such model");
  }
  const fs::path sidecar = fs::path(model_path).replace_extension(".meta.json");
  const std::string text = ReadText(sidecar);
  Meta meta;
  std::string expected;
  try {
    const Json json = Json::Parse(text);
    meta = Facts(json);
    expected = json.at("sha256").string();
  } catch (const Error &error) {
    throw Error(sidecar.string() + ": not a meta.json of export.py (" + error.what() + "); export the model again");
  }
  if (FileSha256(model_path) != expected) {
    throw Error(model_path + ": truncated, corrupt or replaced: its checksum is not the one in " +
                sidecar.filename().string() + "; export the model again");
  }
  return meta;
}

}  // namespace dprnn
