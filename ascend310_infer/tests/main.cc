// Tests of everything but MindSpore Lite:
//   dprnn_infer_tests                      run all
//   dprnn_infer_tests sha256 FILE          print the checksum
//   dprnn_infer_tests decode WAV CHANNEL   write the samples to stdout, float32
//   dprnn_infer_tests meta FILE            print what a sidecar says

#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <iterator>
#include <map>
#include <numeric>
#include <random>
#include <sstream>

#include "error.h"
#include "files.h"
#include "joiner.h"
#include "json.h"
#include "level.h"
#include "meta.h"
#include "options.h"
#include "separator.h"
#include "sha256.h"
#include "wav.h"
#include "wav_bytes.h"
#include "windows.h"

namespace {

namespace fs = std::filesystem;
using namespace dprnn;
using namespace dprnn_tests;

int failures = 0;

#define CHECK(condition)                                                  \
  do {                                                                    \
    if (!(condition)) {                                                   \
      std::printf("%s:%d: failed: %s\n", __FILE__, __LINE__, #condition); \
      ++failures;                                                         \
    }                                                                     \
  } while (false)

// The text of the Error that a call throws; empty if it throws none.
std::string Thrown(const std::function<void()> &call) {
  try {
    call();
  } catch (const Error &error) {
    return error.what();
  }
  return "";
}

bool Has(const std::string &text, const std::string &part) { return text.find(part) != std::string::npos; }

class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "dprnn_tests.XXXXXX").string();
    path_ = mkdtemp(name.data());
  }
  ~Folder() { fs::remove_all(path_); }
  const fs::path &path() const { return path_; }
  size_t Entries() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(path_), fs::directory_iterator()));
  }

 private:
  fs::path path_;
};

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

void TestWindows() {
  CHECK((PlanWindows(5, 10, 4) == std::vector<uint64_t>{0}));
  CHECK((PlanWindows(10, 10, 4) == std::vector<uint64_t>{0}));
  CHECK((PlanWindows(11, 10, 4) == std::vector<uint64_t>{0, 1}));
  CHECK((PlanWindows(16, 10, 4) == std::vector<uint64_t>{0, 6}));
  for (uint64_t frames = 1; frames < 200; ++frames) {
    for (const auto &[window, overlap] : {std::pair<uint64_t, uint64_t>{10, 5}, {11, 5}, {32, 3}, {1, 0}}) {
      const auto starts = PlanWindows(frames, window, overlap);
      CHECK(starts[0] == 0 && starts.back() + window >= frames);
      CHECK(starts.size() == 1 || starts.back() + window == frames);
      for (size_t i = 1; i < starts.size(); ++i) {
        CHECK(starts[i] > starts[i - 1] && starts[i - 1] + window >= starts[i] + overlap);
      }
    }
  }
}

void TestLevel() {
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0, 0.1F);
  Tracks tracks(2, std::vector<float>(500));
  std::vector<float> mixture(500);
  for (size_t t = 0; t < mixture.size(); ++t) {
    tracks[0][t] = normal(random);
    tracks[1][t] = normal(random);
    mixture[t] = -0.25F * (tracks[0][t] + tracks[1][t]);
  }
  Tracks scaled = tracks;
  ScaleToMixture(mixture.data(), mixture.size(), &scaled);
  for (size_t t = 0; t < mixture.size(); ++t) {
    CHECK(std::abs(scaled[0][t] + 0.25F * tracks[0][t]) < 1e-6F);
  }
  Tracks loud{{2, -1}, {-1, 2}};  // fits [1, 1] with gain 1, which would clip
  const float ones[] = {1, 1};
  ScaleToMixture(ones, 2, &loud);
  CHECK(std::abs(loud[0][0] - 32767.0F / 32768) < 1e-6F);
  Tracks silent(2, std::vector<float>(2));
  ScaleToMixture(ones, 2, &silent);
  CHECK(silent[0][0] == 0);
}

std::vector<float> Decode(const std::string &bytes, int channel = kMeanOfChannels) {
  WavReader reader(std::make_unique<std::istringstream>(bytes), "test.wav", channel);
  std::vector<float> all;
  for (std::vector<float> part = reader.Read(3); !part.empty(); part = reader.Read(3)) {
    all.insert(all.end(), part.begin(), part.end());
  }
  CHECK(all.size() == reader.frames());
  return all;
}

void TestWavReader() {
  const std::string format = Chunk("fmt ", Format(1, 1, 8000, 16));
  const std::string pcm = Le(0, 2) + Le(16384, 2) + Le(0x8000, 2) + Le(0x7FFF, 2);
  const std::vector<float> values{0, 0.5F, -1, 32767.0F / 32768};
  CHECK(Decode(Riff(format + Chunk("data", pcm))) == values);
  // other chunks, odd ones with and after their padding
  CHECK(Decode(Riff(Chunk("LIST", "abc") + format + Chunk("fact", Le(4, 4)) + Chunk("odd ", "x") + Chunk("data", pcm) +
                    Chunk("LIST", "tail"))) == values);
  CHECK(Decode(Riff(Chunk("fmt ", Extensible(1, 1, 8000, 16)) + Chunk("data", pcm))) == values);
  CHECK((Decode(Riff(Chunk("fmt ", Format(1, 1, 8000, 24)) + Chunk("data", Le(0x400000, 3) + Le(0x800000, 3)))) ==
         std::vector<float>{0.5F, -1}));
  CHECK((Decode(Riff(Chunk("fmt ", Format(1, 1, 8000, 32)) + Chunk("data", Le(0x40000000, 4) + Le(0x80000000, 4)))) ==
         std::vector<float>{0.5F, -1}));
  CHECK((Decode(Riff(Chunk("fmt ", Format(3, 1, 8000, 32)) + Chunk("data", Le(0x3F000000, 4) + Le(0xC0000000, 4)))) ==
         std::vector<float>{0.5F, -2}));
  CHECK((Decode(Riff(Chunk("fmt ", Format(3, 1, 8000, 64)) + Chunk("data", Le(0x3FE0000000000000, 8)))) ==
         std::vector<float>{0.5F}));
  // channels: two frames of (0.5, -1) and (0, 32767/32768)
  const std::string stereo =
      Riff(Chunk("fmt ", Format(1, 2, 8000, 16)) + Chunk("data", Le(16384, 2) + Le(0x8000, 2) + Le(0, 2) + Le(0x7FFF, 2)));
  CHECK((Decode(stereo, 0) == std::vector<float>{0.5F, 0}));
  CHECK((Decode(stereo, 1) == std::vector<float>{-1, 32767.0F / 32768}));
  CHECK((Decode(stereo) == std::vector<float>{-0.25F, 32767.0F / 65536}));
  CHECK(Has(Thrown([&] { Decode(stereo, 2); }), "no channel 2"));
  // streamed to a pipe, and cut off while recording
  for (const uint32_t size : {0xFFFFFFFFU, 0x7FFFFFFFU, 0x7FFF0000U, 0U}) {
    CHECK(Decode("RIFF" + Le(size, 4) + "WAVE" + format + "data" + Le(size, 4) + pcm) == values);
  }
  CHECK(Decode(Riff(format + Chunk("data", pcm + "x"))) == values);  // half a sample at the end

  const auto error = [](const std::string &bytes) { return Thrown([&] { Decode(bytes); }); };
  CHECK(Has(error(""), "empty (0 bytes)"));
  CHECK(Has(error("RIFF"), "not a wav"));
  CHECK(Has(error("OggS" + std::string(100, 'x')), "not a wav"));
  CHECK(Has(error("RF64" + Riff(format).substr(4)), "RF64"));
  CHECK(Has(error(Riff(format)), "no samples"));
  CHECK(Has(error(Riff(format + "dat")), "no samples"));
  CHECK(Has(error(Riff(format + Chunk("data", ""))), "holds no samples"));
  CHECK(Has(error(Riff(format + Chunk("data", "") + Chunk("LIST", "tail"))), "holds no samples"));
  CHECK(Has(error(Riff(format + Chunk("data", "x"))), "holds no samples"));
  CHECK(Has(error(Riff(format + "data" + Le(100, 4) + pcm)), "truncated"));
  CHECK(Has(error(Riff(Chunk("data", pcm) + format)), "before their format"));
  CHECK(Has(error(Riff(Chunk("fmt ", "short") + Chunk("data", pcm))), "too short"));
  CHECK(Has(error(Riff(Chunk("fmt ", Format(1, 1, 8000, 8)) + Chunk("data", pcm))), "8-bit PCM"));
  CHECK(Has(error(Riff(Chunk("fmt ", Format(7, 1, 8000, 8)) + Chunk("data", pcm))), "encoding (7)"));
  CHECK(Has(error(Riff(Chunk("fmt ", Extensible(6, 1, 8000, 8)) + Chunk("data", pcm))), "encoding (6)"));
  CHECK(Has(error(Riff(Chunk("fmt ", Format(1, 0, 8000, 16)) + Chunk("data", pcm))), "impossible"));
  CHECK(Has(error(Riff(Chunk("fmt ", Format(1, 1, 0, 16)) + Chunk("data", pcm))), "impossible"));
  CHECK(Has(error(Riff("JUNK" + Le(0xFFFFFFFF, 4) + format + Chunk("data", pcm))), "no samples"));
  for (const uint64_t bits : {0x7FC00000U, 0x7F800000U, 0xFF800000U}) {
    CHECK(Has(error(Riff(Chunk("fmt ", Format(3, 1, 8000, 32)) + Chunk("data", Le(0, 4) + Le(bits, 4)))),
              "NaN or infinite samples, the first at 1"));
  }
  CHECK(Has(Thrown([] { WavReader("/nowhere.wav", 0); }), "no such file"));
  CHECK(Has(Thrown([] { WavReader("/", 0); }), "not a file"));
}

void TestWavWriter() {
  const Folder folder;
  const fs::path path = folder.path() / "sub" / "a.wav";
  const std::vector<float> samples{0, 0.5F / 32768, 1.5F / 32768, -2.5F / 32768, 2, -2, 32767.0F / 32768};
  {
    WavWriter writer(path, 8000, samples.size());
    writer.Write(samples);
    CHECK(!fs::exists(path));
    writer.Commit();
  }
  CHECK(fs::file_size(path) == 44 + 2 * samples.size());
  WavReader reader(path.string(), 0);
  std::vector<float> back = reader.Read(100);
  for (float &sample : back) {
    sample *= 32768;
  }
  CHECK((back == std::vector<float>{0, 0, 2, -2, 32767, -32768, 32767}));  // halves to even, clipped
  CHECK(reader.sample_rate() == 8000 && reader.channels() == 1);
  {
    WavWriter dropped(folder.path() / "b.wav", 8000, 4);
    dropped.Write(samples);
  }
  CHECK(folder.Entries() == 1);
  CHECK(Has(Thrown([&] { WavWriter(path / "below_a_file.wav", 8000, 1); }), "cannot write"));
  CHECK(Has(Thrown([&] { WavWriter(folder.path() / "c.wav", 8000, 1ULL << 31); }), "4 GiB"));
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

// Smooths `times` times; the differences of neighbouring degrees are bands that sum to the input.
std::vector<float> Smooth(std::vector<float> x, size_t times) {
  for (size_t i = 0; i < times; ++i) {
    const std::vector<float> old = x;
    const size_t reach = 1ULL << (2 * i);
    for (size_t t = 0; t < x.size(); ++t) {
      const float left = t >= reach ? old[t - reach] : 0;
      const float right = t + reach < x.size() ? old[t + reach] : 0;
      x[t] = 0.25F * left + 0.5F * old[t] + 0.25F * right;
    }
  }
  return x;
}

Tracks Bands(const std::vector<float> &x, size_t count) {
  Tracks bands(count);
  for (size_t c = 0; c < count; ++c) {
    bands[c] = Smooth(x, c);
    if (c + 1 < count) {
      const std::vector<float> next = Smooth(x, c + 1);
      std::transform(bands[c].begin(), bands[c].end(), next.begin(), bands[c].begin(), std::minus<>());
    }
  }
  return bands;
}

// Its "speakers" are frequency bands; every window has them in another order, at another level and polarity.
class ScramblingNetwork : public Network {
 public:
  ScramblingNetwork(size_t speakers, bool scramble) : speakers_(speakers), scramble_(scramble) {}

  std::vector<float> Run(const std::vector<float> &mixtures, size_t batch, size_t length) override {
    CHECK(mixtures.size() == batch * length);
    lengths.push_back(length);
    std::vector<float> out;
    for (size_t row = 0; row < batch; ++row) {
      const auto start = mixtures.begin() + static_cast<std::ptrdiff_t>(row * length);
      const Tracks bands = Bands({start, start + static_cast<std::ptrdiff_t>(length)}, speakers_);
      std::vector<size_t> order(speakers_);
      std::iota(order.begin(), order.end(), 0);
      float gain = 1;
      if (scramble_) {
        std::shuffle(order.begin(), order.end(), random_);
        gain = std::uniform_real_distribution<float>(0.2F, 5)(random_) * (random_() % 2 ? 1.0F : -1.0F);
      }
      for (const size_t c : order) {
        std::transform(bands[c].begin(), bands[c].end(), std::back_inserter(out), [&](float x) { return gain * x; });
      }
    }
    return out;
  }

  std::vector<size_t> lengths;

 private:
  size_t speakers_;
  bool scramble_;
  std::mt19937 random_{7};
};

const std::atomic<bool> go_on{false};

std::vector<float> Noise(size_t frames) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal(0, 0.1F);
  std::vector<float> samples(frames);
  std::generate(samples.begin(), samples.end(), [&] { return normal(random); });
  return samples;
}

// What a Separator makes of `samples`, as read back from its files.
Tracks SeparateNoise(const std::vector<float> &samples, const Meta &meta, const Options &settings,
                     std::unique_ptr<Network> network) {
  const Folder folder;
  Options options = settings;
  options.output = (folder.path() / "out").string();
  const fs::path source = folder.path() / "in.wav";
  WavWriter writer(source, meta.sample_rate, samples.size());
  writer.Write(samples);
  writer.Commit();
  Separator separator(options, meta, std::move(network), go_on);
  separator.Process(source, [](size_t, size_t) {});
  Tracks tracks;
  for (const fs::path &path : OutputPaths(source, options.output, static_cast<size_t>(meta.speakers))) {
    WavReader reader(path.string(), 0);
    tracks.push_back(reader.Read(samples.size() + 1));
    CHECK(tracks.back().size() == samples.size());
  }
  return tracks;
}

// The largest difference from the bands of the whole recording, in the order that fits best.
float Difference(const Tracks &tracks, const std::vector<float> &samples) {
  const Tracks bands = Bands(samples, tracks.size());
  const std::vector<size_t> order = MatchSpeakers(tracks, 0, bands, samples.size());
  float worst = 0;
  for (size_t c = 0; c < tracks.size(); ++c) {
    for (size_t t = 0; t < samples.size(); ++t) {
      worst = std::max(worst, std::abs(tracks[c][t] - bands[order[c]][t]));
    }
  }
  return worst;
}

void TestJoining() {
  Meta meta;
  meta.sample_rate = 1000;
  meta.hop = 4;
  Options options;
  options.window = 2;
  options.overlap = 0.4;
  for (const int speakers : {1, 2, 3, 4, 8}) {
    meta.speakers = speakers;
    // Three bands and more reach further: windows' ends, which lack what lies beyond, differ a little more.
    const float tolerance = speakers < 3 ? 1e-3F : 0.05F;
    for (const size_t frames : {size_t{1}, size_t{500}, size_t{2000}, size_t{2001}, size_t{2600}, size_t{9137}}) {
      if (speakers == 8 && frames < 9137) {
        continue;
      }
      const std::vector<float> samples = Noise(frames);
      meta.batch.reset();
      meta.length.reset();
      const auto network = [&] { return std::make_unique<ScramblingNetwork>(speakers, true); };
      CHECK(Difference(SeparateNoise(samples, meta, options, network()), samples) < tolerance);
      for (const long batch : {1, 3}) {
        meta.batch = batch;
        meta.length = 1500;
        CHECK(Difference(SeparateNoise(samples, meta, options, network()), samples) < tolerance);
      }
    }
  }
}

void TestOneWindow() {
  Meta meta;
  meta.sample_rate = 1000;
  meta.speakers = 2;
  meta.hop = 4;
  Options options;
  options.window = 2;
  for (const size_t frames : {1, 1999, 2000}) {
    auto network = std::make_unique<ScramblingNetwork>(2, false);
    const ScramblingNetwork &seen = *network;
    const std::vector<float> samples = Noise(frames);
    const Folder folder;
    options.output = folder.path().string();
    const fs::path source = folder.path() / "in.wav";
    WavWriter writer(source, meta.sample_rate, frames);
    writer.Write(samples);
    writer.Commit();
    Separator separator(options, meta, std::move(network), go_on);
    separator.Process(source, [](size_t, size_t) {});
    CHECK((seen.lengths == std::vector<size_t>{frames + 4}));  // whole, and padded by a stride
    CHECK(separator.latency().runs == 1);
    CHECK(Has(Thrown([&] { separator.Process(source, [](size_t, size_t) {}); }), "exists; --overwrite"));
  }
}

// Where the overlap is silent there is nothing to go by: the order stays, and nothing becomes NaN.
void TestSilence() {
  Meta meta;
  meta.sample_rate = 1000;
  meta.speakers = 2;
  meta.hop = 4;
  Options options;
  options.window = 2;
  options.overlap = 0.4;
  std::vector<float> samples = Noise(3000);
  std::fill(samples.begin() + 1500, samples.begin() + 2500, 0.0F);
  CHECK(Difference(SeparateNoise(samples, meta, options, std::make_unique<ScramblingNetwork>(2, false)), samples) < 1e-3F);
  const std::vector<float> silence(5000);
  for (const auto &track : SeparateNoise(silence, meta, options, std::make_unique<ScramblingNetwork>(2, true))) {
    CHECK(track == silence);
  }
}

class NanNetwork : public Network {
 public:
  std::vector<float> Run(const std::vector<float> &, size_t batch, size_t length) override {
    return std::vector<float>(batch * 2 * length, NAN);
  }
};

void TestNothingHalfWritten() {
  const Folder folder;
  Meta meta;
  meta.sample_rate = 8000;
  meta.speakers = 2;
  meta.hop = 4;
  Options options;
  options.output = (folder.path() / "out").string();
  options.window = 0.1;
  options.overlap = 0.02;
  const fs::path source = folder.path() / "in.wav";
  const auto write = [&](const std::string &bytes) { std::ofstream(source, std::ios::binary) << bytes; };
  const auto empty = [&] { return !fs::exists(options.output) || fs::is_empty(options.output); };
  const auto run = [&](std::unique_ptr<Network> network, const std::atomic<bool> &stop) {
    Separator(options, meta, std::move(network), stop).Process(source, [](size_t, size_t) {});
  };
  const std::string header = Chunk("fmt ", Format(3, 1, 8000, 32));
  std::string samples(4 * 8000, '\0');
  write(Riff(header + Chunk("data", samples)));
  CHECK(Has(Thrown([&] { run(std::make_unique<NanNetwork>(), go_on); }), "the model gives NaN"));
  CHECK(empty());
  samples.replace(4 * 7000, 4, Le(0x7FC00000, 4));  // late: earlier windows have been written
  write(Riff(header + Chunk("data", samples)));
  CHECK(Has(Thrown([&] { run(std::make_unique<ScramblingNetwork>(2, false), go_on); }), "first at 7000"));
  CHECK(empty());
  const std::atomic<bool> stop{true};
  bool interrupted = false;
  try {
    run(std::make_unique<ScramblingNetwork>(2, false), stop);
  } catch (const Interrupted &) {
    interrupted = true;
  }
  CHECK(interrupted && empty());
  write(Riff(Chunk("fmt ", Format(1, 1, 44100, 16)) + Chunk("data", samples)));
  CHECK(Has(Thrown([&] { run(std::make_unique<ScramblingNetwork>(2, false), go_on); }), "44100 Hz, the model's is 8000"));
}

int RunAll() {
  const std::pair<const char *, void (*)()> tests[] = {
      {"sha256", TestSha256},       {"json", TestJson},          {"meta", TestMeta},
      {"options", TestOptions},     {"windows", TestWindows},    {"level", TestLevel},
      {"wav reader", TestWavReader}, {"wav writer", TestWavWriter}, {"files", TestFiles},
      {"joining", TestJoining},     {"one window", TestOneWindow}, {"silence", TestSilence},
      {"nothing half-written", TestNothingHalfWritten}};
  for (const auto &[name, test] : tests) {
    const int before = failures;
    test();
    std::printf("%s: %s\n", name, failures == before ? "passed" : "FAILED");
  }
  return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int Run(const std::vector<std::string> &words) {
  if (words.empty()) {
    return RunAll();
  }
  if (words[0] == "sha256" && words.size() == 2) {
    std::puts(FileSha256(words[1]).c_str());
  } else if (words[0] == "decode" && words.size() == 3) {
    WavReader reader(words[1], std::atoi(words[2].c_str()));
    const std::vector<float> samples = reader.Read(reader.frames());
    std::fwrite(samples.data(), sizeof(float), samples.size(), stdout);
  } else if (words[0] == "meta" && words.size() == 2) {
    std::ifstream file(words[1], std::ios::binary);
    const Meta meta = ParseMeta({std::istreambuf_iterator<char>(file), {}});
    std::printf("%s %d %d %d %ld %ld\n", meta.format.c_str(), meta.sample_rate, meta.speakers, meta.hop,
                meta.batch.value_or(0), meta.length.value_or(0));
  } else {
    throw Error("expected nothing, or: sha256 FILE, decode WAV CHANNEL, meta FILE");
  }
  return EXIT_SUCCESS;
}

}  // namespace

int main(int argc, char **argv) {
  try {
    return Run({argv + 1, argv + argc});
  } catch (const Error &error) {
    std::cerr << "error: " << error.what() << std::endl;
    return EXIT_FAILURE;
  }
}
