// A strict reader of JSON (RFC 8259), enough for a model's sidecar; the target machine needs no library for it.
#ifndef DPRNN_JSON_H_
#define DPRNN_JSON_H_

#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

namespace dprnn {

class Json {
 public:
  using Array = std::vector<Json>;
  using Object = std::map<std::string, Json>;

  // Throws Error with the position of what is wrong.
  static Json Parse(const std::string &text);

  bool is_null() const { return std::holds_alternative<std::nullptr_t>(value_); }
  // Each throws Error if the value is of another kind.
  bool boolean() const { return Get<bool>("true or false"); }
  double number() const { return Get<double>("a number"); }
  const std::string &string() const { return Get<std::string>("a text"); }
  const Array &array() const { return Get<Array>("a list"); }
  const Object &object() const { return Get<Object>("an object"); }
  // A member of an object; throws Error if there is none.
  const Json &at(const std::string &key) const;
  // A whole number from low to high.
  long integer(long low, long high) const;

 private:
  friend class JsonParser;

  template <class T>
  const T &Get(const char *kind) const {
    const T *value = std::get_if<T>(&value_);
    if (value == nullptr) {
      Mismatch(kind);
    }
    return *value;
  }
  [[noreturn]] static void Mismatch(const char *kind);

  std::variant<std::nullptr_t, bool, double, std::string, Array, Object> value_ = nullptr;
};

}  // namespace dprnn

#endif  // DPRNN_JSON_H_
