#ifndef DPRNN_STOPWATCH_H_
#define DPRNN_STOPWATCH_H_

#include <chrono>

namespace dprnn {

class Stopwatch {
 public:
  double Seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point start_ = Clock::now();
};

}  // namespace dprnn

#endif  // DPRNN_STOPWATCH_H_
