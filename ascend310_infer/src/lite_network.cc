#include "lite_network.h"

#include <cstring>
#include <fstream>
#include <iterator>

#include "include/api/context.h"
#include "include/api/model.h"

#include "error.h"

namespace dprnn {
namespace {

#if defined(__aarch64__)
constexpr bool kCpuHasFp16 = true;
#else
constexpr bool kCpuHasFp16 = false;
#endif

// Lite 2.0.0 reads MINDIR files of format version 1; MindSpore 2.10 writes 3.
bool TooOldForMindSpore() { return std::strncmp(DPRNN_LITE_VERSION, "2.0.", 4) == 0; }

std::shared_ptr<mindspore::Context> MakeContext(const Options &options) {
  auto context = std::make_shared<mindspore::Context>();
  context->SetThreadNum(options.threads);
  const bool fp16 = options.precision == Precision::kFp16;
  if (options.device == Device::kAscend) {
    auto ascend = std::make_shared<mindspore::AscendDeviceInfo>();
    ascend->SetDeviceID(static_cast<uint32_t>(options.device_id));
    ascend->SetPrecisionMode(fp16 ? "enforce_fp16" : "preferred_fp32");
    context->MutableDeviceInfo().push_back(ascend);
    return context;
  }
  if (fp16 && !kCpuHasFp16) {
    throw Error("--precision fp16: this CPU kind runs fp32 only; fp16 is for Ascend and ARM");
  }
  auto cpu = std::make_shared<mindspore::CPUDeviceInfo>();
  cpu->SetEnableFP16(fp16);
  context->MutableDeviceInfo().push_back(cpu);
  return context;
}

std::string ShapeText(const std::vector<int64_t> &shape) {
  std::string text;
  for (const int64_t axis : shape) {
    text += (text.empty() ? "[" : ", ") + std::to_string(axis);
  }
  return text + "]";
}

}  // namespace

struct LiteNetwork::Impl {
  explicit Impl(const Options &given) : options(given) {}

  void Build();
  void Prepare(const std::vector<int64_t> &wanted);

  Options options;
  std::string bytes;  // of the model's file, which may be replaced while this program runs
  size_t speakers = 0;
  std::unique_ptr<mindspore::Model> model;  // none after a failure to prepare it
  std::vector<int64_t> shape;               // of the input, as the model is prepared for now
  bool used = false;                        // it has been run
};

// A model as it is loaded. Throws Error.
void LiteNetwork::Impl::Build() {
  model.reset();  // before the new one: never two in memory
  auto fresh = std::make_unique<mindspore::Model>();
  if (fresh->Build(bytes.data(), bytes.size(), mindspore::kMindIR, MakeContext(options)).IsError()) {
    if (options.device == Device::kAscend) {
      throw Error("device ascend " + std::to_string(options.device_id) + " cannot be used or the model does not fit it: "
                  "it takes the vendor's MindSpore Lite (MS_LITE_HOME for build.sh), CANN and a free device; "
                  "GLOG_v=2 shows why, --device cpu does without");
    }
    throw Error(options.model + ": MindSpore Lite cannot load it; convert it with the converter of the same Lite "
                "(GLOG_v=2 shows why)");
  }
  const auto inputs = fresh->GetInputs();
  if (inputs.size() != 1 || inputs[0].DataType() != mindspore::DataType::kNumberTypeFloat32) {
    throw Error(options.model + ": expected one float32 input, [batch, samples]");
  }
  model = std::move(fresh);
  shape = inputs[0].Shape();
  used = false;
}

// Makes the model take inputs of `wanted`. On the CPU a model that has run is built anew: Lite keeps the buffers of
// outputs that no node reads (an LSTM's last states), and overruns them when a longer input follows a shorter one.
void LiteNetwork::Impl::Prepare(const std::vector<int64_t> &wanted) {
  if (model != nullptr && shape == wanted) {
    return;
  }
  if (model == nullptr || (used && options.device == Device::kCpu)) {
    Build();
  }
  shape.clear();
  if (model->Resize(model->GetInputs(), {wanted}).IsError()) {
    model.reset();
    throw Error(options.model + ": cannot take an input of " + ShapeText(wanted));
  }
  shape = wanted;
}

LiteNetwork::LiteNetwork(const Options &options, const Meta &meta) : impl_(std::make_unique<Impl>(options)) {
  impl_->speakers = static_cast<size_t>(meta.speakers);
  if (meta.format != "MINDIR_LITE" && (meta.format != "MINDIR" || TooOldForMindSpore())) {
    throw Error(options.model + ": format " + meta.format + " cannot be read by MindSpore Lite " DPRNN_LITE_VERSION
                "; export ONNX and convert it (scripts/run_infer_310.sh does both)");
  }
  std::ifstream file(options.model, std::ios::binary);
  impl_->bytes.assign(std::istreambuf_iterator<char>(file), {});
  impl_->Build();
  if (meta.length && impl_->shape != std::vector<int64_t>{meta.batch.value_or(1), *meta.length}) {
    throw Error(options.model + ": its input is " + ShapeText(impl_->shape) + ", its meta.json says otherwise; "
                "export it again");
  }
}

LiteNetwork::~LiteNetwork() = default;

std::vector<float> LiteNetwork::Run(const std::vector<float> &mixtures, size_t batch, size_t length) {
  const std::vector<int64_t> shape{static_cast<int64_t>(batch), static_cast<int64_t>(length)};
  impl_->Prepare(shape);
  impl_->used = true;
  const std::string &path = impl_->options.model;
  auto inputs = impl_->model->GetInputs();
  void *data = inputs[0].MutableData();
  if (data == nullptr || inputs[0].DataSize() != mixtures.size() * sizeof(float)) {
    throw Error(path + ": no room for an input of " + ShapeText(shape) + "; is memory short?");
  }
  std::memcpy(data, mixtures.data(), inputs[0].DataSize());
  std::vector<mindspore::MSTensor> outputs;
  if (impl_->model->Predict(inputs, &outputs).IsError() || outputs.size() != 1) {
    throw Error(path + ": fails on an input of " + ShapeText(shape) + "; is memory short? (GLOG_v=2 shows why)");
  }
  const std::vector<int64_t> expected{shape[0], static_cast<int64_t>(impl_->speakers), shape[1]};
  const size_t bytes = mixtures.size() * impl_->speakers * sizeof(float);
  if (outputs[0].DataType() != mindspore::DataType::kNumberTypeFloat32 || outputs[0].Shape() != expected ||
      outputs[0].DataSize() != bytes) {
    throw Error(path + ": its output is " + ShapeText(outputs[0].Shape()) + ", expected float32 " +
                ShapeText(expected));
  }
  std::vector<float> estimates(bytes / sizeof(float));
  const auto host = outputs[0].Data();
  if (host == nullptr) {
    throw Error(path + ": its output cannot be copied from the device");
  }
  std::memcpy(estimates.data(), host.get(), bytes);
  return estimates;
}

}  // namespace dprnn
