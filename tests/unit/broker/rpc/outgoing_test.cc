#include "broker/rpc/outgoing.h"

#include <string>

#include "gtest/gtest.h"

namespace werkplek {
namespace {

using Queue = Outgoing<std::string>;
using Step = Queue::Step;

TEST(Outgoing, WritesOneAfterAnother) {
  Queue queue(10);
  EXPECT_EQ(queue.Next(), Step::kNothing);
  EXPECT_TRUE(queue.Push("", "a"));
  EXPECT_TRUE(queue.Push("", "b"));
  EXPECT_EQ(queue.Next(), Step::kWrite);
  EXPECT_EQ(queue.current(), "a");
  EXPECT_EQ(queue.Next(), Step::kNothing) << "a write is under way";
  queue.WriteDone(true);
  EXPECT_EQ(queue.Next(), Step::kWrite);
  EXPECT_EQ(queue.current(), "b");
  queue.WriteDone(true);
  EXPECT_EQ(queue.Next(), Step::kNothing);
}

TEST(Outgoing, ANewerMessageTakesThePlaceOfOneThatWaits) {
  Queue queue(10);
  queue.Push("x", "x1");
  EXPECT_EQ(queue.Next(), Step::kWrite);
  queue.Push("x", "x2");
  queue.Push("y", "y1");
  queue.Push("x", "x3");
  EXPECT_EQ(queue.waiting(), 2u);
  EXPECT_EQ(queue.current(), "x1") << "what is being written stays";
  queue.WriteDone(true);
  EXPECT_EQ(queue.Next(), Step::kWrite);
  EXPECT_EQ(queue.current(), "y1");
  queue.WriteDone(true);
  EXPECT_EQ(queue.Next(), Step::kWrite);
  EXPECT_EQ(queue.current(), "x3");
  queue.WriteDone(true);
  EXPECT_TRUE(queue.Push("x", "x4"));
  EXPECT_EQ(queue.Next(), Step::kWrite);
  EXPECT_EQ(queue.current(), "x4");
}

TEST(Outgoing, HoldsNoMoreThanItsLimit) {
  Queue queue(2);
  EXPECT_TRUE(queue.Push("a", "1"));
  EXPECT_TRUE(queue.Push("b", "2"));
  EXPECT_FALSE(queue.Push("c", "3"));
  EXPECT_TRUE(queue.Push("a", "4")) << "takes a place, needs none";
  EXPECT_EQ(queue.waiting(), 2u);
}

TEST(Outgoing, EndsOnceAfterWhatWaits) {
  Queue queue(10);
  queue.Push("", "a");
  queue.End(absl::OkStatus());
  queue.End(absl::InternalError("later"));
  EXPECT_FALSE(queue.Push("", "b"));
  EXPECT_EQ(queue.Next(), Step::kWrite);
  queue.WriteDone(true);
  EXPECT_EQ(queue.Next(), Step::kFinish);
  EXPECT_TRUE(queue.status().ok());
  EXPECT_EQ(queue.Next(), Step::kNothing);
}

TEST(Outgoing, AnAbortWaitsForTheWriteUnderWayOnly) {
  Queue queue(10);
  queue.Push("k", "a");
  EXPECT_EQ(queue.Next(), Step::kWrite);
  queue.Push("k", "b");
  queue.Push("", "c");
  queue.Abort(absl::AbortedError("enough"));
  EXPECT_EQ(queue.Next(), Step::kNothing);
  queue.WriteDone(true);
  EXPECT_EQ(queue.Next(), Step::kFinish);
  EXPECT_EQ(queue.status(), absl::AbortedError("enough"));
}

TEST(Outgoing, ABrokenStreamEnds) {
  Queue queue(10);
  queue.Push("", "a");
  queue.Push("", "b");
  EXPECT_EQ(queue.Next(), Step::kWrite);
  queue.WriteDone(false);
  EXPECT_EQ(queue.Next(), Step::kFinish);
  EXPECT_TRUE(absl::IsCancelled(queue.status()));
}

}  // namespace
}  // namespace werkplek
