#include "worker/comm/tags.h"

namespace varve {

std::string_view tag_name(Tag tag) {
  switch (tag) {
    case Tag::kBootstrap:
      return "kBootstrap";
    case Tag::kMachines:
      return "kMachines";
    case Tag::kOrders:
      return "kOrders";
    case Tag::kPlan:
      return "kPlan";
    case Tag::kLink:
      return "kLink";
    case Tag::kStepHeader:
      return "kStepHeader";
    case Tag::kActivations:
      return "kActivations";
    case Tag::kCredit:
      return "kCredit";
    case Tag::kTokens:
      return "kTokens";
    case Tag::kStatistics:
      return "kStatistics";
    case Tag::kScores:
      return "kScores";
    case Tag::kSaved:
      return "kSaved";
    case Tag::kReport:
      return "kReport";
    case Tag::kTrial:
      return "kTrial";
    case Tag::kTest:
      return "kTest";
    case Tag::kCount:
      break;
  }
  return "unknown tag";
}

}  // namespace varve
