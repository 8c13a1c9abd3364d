#include "json.h"

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <locale>
#include <sstream>

#include "error.h"

namespace dprnn {

class JsonParser {
 public:
  explicit JsonParser(const std::string &text) : text_(text) {}

  Json Document() {
    Json value = Value(0);
    Space();
    if (at_ != text_.size()) {
      Fail("more after the end");
    }
    return value;
  }

 private:
  static constexpr int kDeepest = 64;

  [[noreturn]] void Fail(const std::string &what) const {
    throw Error("not JSON: " + what + " at byte " + std::to_string(at_));
  }

  char Peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  void Space() { at_ = std::min(text_.find_first_not_of(" \t\r\n", at_), text_.size()); }

  void Expect(const char *word) {
    if (text_.compare(at_, std::strlen(word), word) != 0) {
      Fail(std::string("expected ") + word);
    }
    at_ += std::strlen(word);
  }

  Json Value(int depth) {
    if (depth > kDeepest) {
      Fail("nested too deep");
    }
    Space();
    Json out;
    switch (Peek()) {
      case '{':
        out.value_ = Members(depth);
        break;
      case '[':
        out.value_ = Elements(depth);
        break;
      case '"':
        out.value_ = String();
        break;
      case 't':
        Expect("true");
        out.value_ = true;
        break;
      case 'f':
        Expect("false");
        out.value_ = false;
        break;
      case 'n':
        Expect("null");
        break;
      default:
        out.value_ = Number();
    }
    return out;
  }

  Json::Object Members(int depth) {
    Json::Object members;
    Expect("{");
    Space();
    while (Peek() != '}') {
      if (!members.empty()) {
        Expect(",");
        Space();
      }
      std::string key = String();
      Space();
      Expect(":");
      if (!members.emplace(std::move(key), Value(depth + 1)).second) {
        Fail("a key twice");
      }
      Space();
    }
    Expect("}");
    return members;
  }

  Json::Array Elements(int depth) {
    Json::Array elements;
    Expect("[");
    Space();
    while (Peek() != ']') {
      if (!elements.empty()) {
        Expect(",");
      }
      elements.push_back(Value(depth + 1));
      Space();
    }
    Expect("]");
    return elements;
  }

  double Number() {
    const size_t start = at_;
    const auto digits = [this] {
      const size_t first = at_;
      at_ = std::min(text_.find_first_not_of("0123456789", at_), text_.size());
      if (at_ == first) {
        Fail("expected a value");
      }
    };
    if (Peek() == '-') {
      ++at_;
    }
    if (Peek() == '0') {
      ++at_;
    } else {
      digits();
    }
    if (Peek() == '.') {
      ++at_;
      digits();
    }
    if (Peek() == 'e' || Peek() == 'E') {
      ++at_;
      if (Peek() == '+' || Peek() == '-') {
        ++at_;
      }
      digits();
    }
    std::istringstream stream(text_.substr(start, at_ - start));
    stream.imbue(std::locale::classic());
    double value = 0;
    if (!(stream >> value)) {
      Fail("a number out of range");
    }
    return value;
  }

  uint32_t Hex4() {
    uint32_t code = 0;
    for (int i = 0; i < 4; ++i) {
      const char *digits = "0123456789abcdef";
      const char *digit = Peek() ? std::strchr(digits, std::tolower(static_cast<unsigned char>(Peek()))) : nullptr;
      if (digit == nullptr) {
        Fail("expected four hexadecimal digits");
      }
      code = code * 16 + static_cast<uint32_t>(digit - digits);
      ++at_;
    }
    return code;
  }

  void Escape(std::string *out) {
    static constexpr char kFrom[] = "\"\\/bfnrt";
    static constexpr char kTo[] = "\"\\/\b\f\n\r\t";
    const char letter = Peek();
    ++at_;
    if (const char *found = letter ? std::strchr(kFrom, letter) : nullptr) {
      *out += kTo[found - kFrom];
      return;
    }
    if (letter != 'u') {
      Fail("unknown escape");
    }
    uint32_t code = Hex4();
    if (code >= 0xD800 && code < 0xE000) {  // a pair of halves
      Expect("\\u");
      const uint32_t low = Hex4();
      if (code >= 0xDC00 || low < 0xDC00 || low >= 0xE000) {
        Fail("half a character");
      }
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    Utf8(code, out);
  }

  static void Utf8(uint32_t code, std::string *out) {
    if (code < 0x80) {
      *out += static_cast<char>(code);
      return;
    }
    const int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    *out += static_cast<char>((0xFF00 >> (more + 1) & 0xFF) | code >> (6 * more));
    for (int i = more - 1; i >= 0; --i) {
      *out += static_cast<char>(0x80 | (code >> (6 * i) & 0x3F));
    }
  }

  std::string String() {
    std::string out;
    Expect("\"");
    for (;;) {
      if (at_ >= text_.size()) {
        Fail("a text without end");
      }
      const char c = text_[at_++];
      if (c == '"') {
        return out;
      }
      if (static_cast<unsigned char>(c) < 0x20) {
        Fail("a control character in a text");
      }
      if (c == '\\') {
        Escape(&out);
      } else {
        out += c;
      }
    }
  }

  const std::string &text_;
  size_t at_ = 0;
};

Json Json::Parse(const std::string &text) { return JsonParser(text).Document(); }

void Json::Mismatch(const char *kind) { throw Error(std::string("expected ") + kind); }

const Json &Json::at(const std::string &key) const {
  const auto found = object().find(key);
  if (found == object().end()) {
    throw Error("no \"" + key + "\"");
  }
  return found->second;
}

long Json::integer(long low, long high) const {
  const double value = number();
  if (value != std::floor(value) || value < static_cast<double>(low) || value > static_cast<double>(high)) {
    throw Error("expected a whole number from " + std::to_string(low) + " to " + std::to_string(high));
  }
  return static_cast<long>(value);
}

}  // namespace dprnn
