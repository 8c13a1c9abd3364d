// What goes wrong outside the code: the text is one line that says what, where and what to do.
#ifndef DPRNN_ERROR_H_
#define DPRNN_ERROR_H_

#include <exception>
#include <stdexcept>

namespace dprnn {

class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The user has asked to stop.
class Interrupted : public std::exception {
 public:
  const char *what() const noexcept override { return "interrupted"; }
};

}  // namespace dprnn

#endif  // DPRNN_ERROR_H_
