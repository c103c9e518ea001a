// What a file changes of a resource that is there. Pure.
#pragma once

#include <string>
#include <vector>

#include "werkplek/v1/resources.pb.h"

namespace werkplek {

// Gives `resource` what `drain`, `maintenance` and `open` set of `from`, one of the same kind.
void CopySchedulability(const v1::Resource& from, v1::Resource& resource);

// The fields in which two resources of the same kind differ, in the order of the proto:
// "max_desktops 4 -> 8", "sites none -> a,b". Versions are not compared.
std::vector<std::string> DescribeChanges(const v1::Resource& before, const v1::Resource& after);

}  // namespace werkplek
