#include "client/ctl/resource_changes.h"

#include "absl/strings/str_cat.h"
#include "client/api/message_text.h"
#include "client/ctl/resource_schema.h"
#include "google/protobuf/text_format.h"

namespace werkplek {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using google::protobuf::TextFormat;

const FieldDescriptor& KindField(const v1::Resource& resource) {
  return *v1::Resource::descriptor()->FindFieldByName(KindWord(KindOf(resource)));
}

const Message& Body(const v1::Resource& resource) {
  return resource.GetReflection()->GetMessage(resource, &KindField(resource));
}

// As a flag would take it. `index` -1: the field is not repeated.
std::string OneValue(const Message& message, const FieldDescriptor& field, int index) {
  const Reflection& reflection = *message.GetReflection();
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
    return index < 0 ? reflection.GetString(message, &field)
                     : reflection.GetRepeatedString(message, &field, index);
  }
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_ENUM && index < 0) {
    return EnumWord(*reflection.GetEnum(message, &field));
  }
  std::string text;
  TextFormat::PrintFieldValueToString(message, &field, index, &text);
  return text;
}

std::string Value(const Message& message, const FieldDescriptor& field) {
  std::string text;
  if (field.is_repeated()) {
    const int count = message.GetReflection()->FieldSize(message, &field);
    for (int i = 0; i < count; ++i) {
      absl::StrAppend(&text, i == 0 ? "" : ",", OneValue(message, field, i));
    }
  } else {
    text = OneValue(message, field, -1);
  }
  return text.empty() ? "none" : text;
}

void Compare(const Message& before, const Message& after, const std::string& above,
             std::vector<std::string>& changes) {
  for (int i = 0; i < before.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor& field = *before.GetDescriptor()->field(i);
    const std::string name = absl::StrCat(above, field.name());
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      Compare(before.GetReflection()->GetMessage(before, &field),
              after.GetReflection()->GetMessage(after, &field), absl::StrCat(name, "."), changes);
      continue;
    }
    const std::string old_value = Value(before, field);
    const std::string new_value = Value(after, field);
    if (old_value != new_value) {
      changes.push_back(absl::StrCat(name, " ", old_value, " -> ", new_value));
    }
  }
}

}  // namespace

void CopySchedulability(const v1::Resource& from, v1::Resource& resource) {
  const Message& source = Body(from);
  const FieldDescriptor* field = source.GetDescriptor()->FindFieldByName("schedulability");
  if (field == nullptr) return;
  Message& target = *resource.GetReflection()->MutableMessage(&resource, &KindField(resource));
  target.GetReflection()->SetEnumValue(&target, field,
                                       source.GetReflection()->GetEnumValue(source, field));
}

std::vector<std::string> DescribeChanges(const v1::Resource& before, const v1::Resource& after) {
  std::vector<std::string> changes;
  Compare(Body(before), Body(after), "", changes);
  return changes;
}

}  // namespace werkplek
