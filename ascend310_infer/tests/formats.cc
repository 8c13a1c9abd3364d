// Checksums, sidecars, options and file names.

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "check.h"
#include "error.h"
#include "files.h"
#include "json.h"
#include "meta.h"
#include "options.h"
#include "sha256.h"

namespace dprnn_tests {
namespace {

namespace fs = std::filesystem;
using namespace dprnn;

void TestSha256() {
  const auto of = [](const std::string &text) {
    Sha256 digest;
    digest.Update(text.data(), text.size());
    return digest.Finish();
  };
  // FIPS 180-4 examples
  CHECK(of("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(of("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(of(std::string(1000000, 'a')) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  CHECK(Has(Thrown([] { FileSha256("/nowhere/at/all"); }), "cannot be read"));
}

void TestJson() {
  const Json json = Json::Parse(R"( {"a": [1, -2.5e1, true, false, null], "b": {"c": "x\n\u00e4\u20ac\ud83d\ude00"}} )");
  CHECK(json.at("a").array().size() == 5);
  CHECK(json.at("a").array()[0].integer(0, 1) == 1);
  CHECK(json.at("a").array()[1].number() == -25);
  CHECK(json.at("a").array()[2].boolean() && !json.at("a").array()[3].boolean());
  CHECK(json.at("a").array()[4].is_null());
  CHECK(json.at("b").at("c").string() == "x\n\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80");
  CHECK(!Thrown([&] { json.at("a").array()[1].integer(0, 9); }).empty());
  CHECK(!Thrown([&] { json.at("missing"); }).empty());
  CHECK(!Thrown([&] { json.at("a").string(); }).empty());
  for (const char *bad : {"", "{", "[1,]", "{\"a\":1,}", "[1 2]", "01", "1.", "-", "+1", ".5", "1e", "nul", "\"a", "\"\\q\"",
                          "\"\\u12g4\"", "\"\\ud800\"", "\"\\udc00\\ud800\"", "\"\x01\"", "{\"a\":1,\"a\":2}", "[1]x",
                          "{1:2}", "1e999", "NaN"}) {
    CHECK(!Thrown([&] { Json::Parse(bad); }).empty());
  }
  CHECK(Has(Thrown([] { Json::Parse(std::string(100000, '[')); }), "too deep"));
}

void TestMeta() {
  const std::string good =
      R"({"format": "MINDIR_LITE", "sample_rate": 8000, "num_spks": 2, "input": [null, null], "config": {"kernel_size": 16}})";
  const Meta meta = ParseMeta(good);
  CHECK(meta.format == "MINDIR_LITE" && meta.sample_rate == 8000 && meta.speakers == 2 && meta.hop == 8);
  CHECK(!meta.batch && !meta.length);
  const auto with = [&](const std::string &from, const std::string &to) {
    std::string text = good;
    return ParseMeta(text.replace(text.find(from), from.size(), to));
  };
  CHECK(with("[null, null]", "[2, 32000]").batch == 2 && with("[null, null]", "[2, 32000]").length == 32000);
  CHECK(!Thrown([&] { with("8000", "0"); }).empty());
  CHECK(!Thrown([&] { with("8000", "8000.5"); }).empty());
  CHECK(!Thrown([&] { with("2", "9"); }).empty());
  CHECK(!Thrown([&] { with("[null, null]", "[null]"); }).empty());
  CHECK(!Thrown([&] { with("16", "1"); }).empty());
  CHECK(with("\"config\": {\"kernel_size\": 16}", "\"hop\": 5").hop == 5);
  CHECK(with("\"config\"", "\"hop\": 5, \"config\"").hop == 5);
  CHECK(!Thrown([&] { with("\"config\"", "\"hop\": 0, \"config\""); }).empty());
  CHECK(!Thrown([&] { with("\"config\"", "\"hop\": null, \"config\""); }).empty());
  CHECK(!Thrown([&] { with("\"num_spks\"", "\"speakers\""); }).empty());
}

void TestOptions() {
  const std::vector<std::string> needed{"--model", "m", "--input", "i", "--output=o"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.end(), needed.begin(), needed.end());
    return ParseOptions(more);
  };
  const Options plain = with({});
  CHECK(plain.model == "m" && plain.input == "i" && plain.output == "o" && plain.channel == kMeanOfChannels);
  CHECK(plain.threads >= 1 && plain.device == Device::kCpu && plain.precision == Precision::kFp32 && !plain.overwrite);
  const Options other = with({"--device", "ascend", "--device-id", "3", "--threads=5", "--precision", "fp16",
                              "--channel", "1", "--window", "10", "--overlap", "2.5", "--overwrite", "1"});
  CHECK(other.device == Device::kAscend && other.device_id == 3 && other.threads == 5 && other.channel == 1);
  CHECK(other.precision == Precision::kFp16 && other.window == 10 && other.overlap == 2.5 && other.overwrite);
  CHECK(ParseOptions({"--help"}).help);
  using Words = std::vector<std::string>;
  for (const Words &bad : std::vector<Words>{
           {"--nonsense", "1"}, {"file.wav"}, {"--threads", "0"}, {"--threads", "two"}, {"--threads", "2x"},
           {"--device", "gpu"}, {"--precision", "int8"}, {"--channel", "-1"}, {"--channel", ""}, {"--window", "0"},
           {"--window", "nan"}, {"--window", "4", "--overlap", "3"}, {"--overwrite", "yes"}, {"--device_id", "-1"},
           {"--threads", "99999999999"}, {"--model", "m"}}) {
    CHECK(!Thrown([&] { with(bad); }).empty());
  }
  CHECK(Has(Thrown([] { ParseOptions({"--model", "m", "--input", "i"}); }), "--output is missing"));
  CHECK(Has(Thrown([] { ParseOptions({"--model"}); }), "value is missing"));
}

void TestFiles() {
  const Folder folder;
  const auto touch = [&](const char *name) { std::ofstream(folder.path() / name) << "x"; };
  CHECK(Has(Thrown([&] { FindInputs(folder.path(), "out"); }), "holds no wav"));
  for (const char *name : {"b.wav", "a.WAV", "notes.txt"}) {
    touch(name);
  }
  fs::create_directory(folder.path() / "c.wav");
  const Inputs inputs = FindInputs(folder.path(), "out");
  CHECK(inputs.wavs.size() == 2 && inputs.wavs[0].filename() == "a.WAV" && inputs.others == 1);
  CHECK(Has(Thrown([&] { FindInputs(folder.path(), folder.path() / "."); }), "is the input folder"));
  touch("a.wav");
  CHECK(Has(Thrown([&] { FindInputs(folder.path(), "out"); }), "same name"));
  CHECK(Has(Thrown([&] { FindInputs(folder.path() / "none", "out"); }), "no such file or folder"));
  CHECK((OutputPaths("x/my.talk.wav", "out", 2) == std::vector<fs::path>{"out/my.talk_s1.wav", "out/my.talk_s2.wav"}));
}

}  // namespace

void TestFormats() {
  TestSha256();
  TestJson();
  TestMeta();
  TestOptions();
  TestFiles();
}

}  // namespace dprnn_tests
