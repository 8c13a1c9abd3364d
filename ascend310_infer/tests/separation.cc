// Windows, levels and speakers of long recordings, with networks whose output is known.

#include <algorithm>
#include <atomic>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "error.h"
#include "files.h"
#include "joiner.h"
#include "level.h"
#include "separator.h"
#include "wav.h"
#include "wav_bytes.h"
#include "windows.h"

namespace dprnn_tests {
namespace {

namespace fs = std::filesystem;
using namespace dprnn;

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
  Tracks turned = tracks;
  for (float &sample : turned[1]) {
    sample = -sample;
  }
  ScaleToMixture(mixture.data(), mixture.size(), &turned);
  CHECK(turned == scaled);
  Tracks loud{{2, -1}, {-1, 2}};  // fits [1, 1] with gain 1, which would clip
  const float ones[] = {1, 1};
  ScaleToMixture(ones, 2, &loud);
  CHECK(std::abs(loud[0][0] - 32767.0F / 32768) < 1e-6F);
  Tracks silent(2, std::vector<float>(2));
  ScaleToMixture(ones, 2, &silent);
  CHECK(silent[0][0] == 0);
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

}  // namespace

void TestSeparation() {
  TestWindows();
  TestLevel();
  TestJoining();
  TestOneWindow();
  TestSilence();
  TestNothingHalfWritten();
}

}  // namespace dprnn_tests
