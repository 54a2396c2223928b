#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>

#include "tests/cuda_on_cpu/fakes/fixture.h"

namespace varve::fakes {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// What ran, in the order in which it ran.
class Log {
 public:
  void put(cudaStream_t stream, const std::string& what) {
    enqueue(stream, what, [this, what] { ran_.push_back(what); });
  }
  const std::vector<std::string>& ran() const { return ran_; }

 private:
  std::vector<std::string> ran_;
};

std::string message_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const KernelError& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST(Devices, AreAsManyAsWereAskedFor) {
  configure(settings_for(Order::kLazy, 1, 2));
  int count = 0;
  EXPECT_CUDA(cudaGetDeviceCount(&count));
  EXPECT_EQ(count, 2);
  cudaDeviceProp properties{};
  EXPECT_CUDA(cudaGetDeviceProperties(&properties, 1));
  EXPECT_THAT(properties.name, HasSubstr("fake"));
  EXPECT_EQ(properties.major, 9);
  EXPECT_EQ(properties.warpSize, 32);
  int value = 0;
  EXPECT_CUDA(cudaDeviceGetAttribute(&value, cudaDevAttrMultiProcessorCount, 0));
  EXPECT_EQ(value, properties.multiProcessorCount);
  char first[16];
  char second[16];
  EXPECT_CUDA(cudaDeviceGetPCIBusId(first, sizeof first, 0));
  EXPECT_CUDA(cudaDeviceGetPCIBusId(second, sizeof second, 1));
  EXPECT_STRNE(first, second);
  EXPECT_EQ(cudaSetDevice(2), cudaErrorInvalidDevice);
  EXPECT_CUDA(cudaSetDevice(1));
  EXPECT_CUDA(cudaGetDevice(&value));
  EXPECT_EQ(value, 1);
}

TEST(Devices, MayBeNone) {
  configure(settings_for(Order::kLazy, 1, 0));
  int count = -1;
  EXPECT_EQ(cudaGetDeviceCount(&count), cudaErrorNoDevice);
  EXPECT_EQ(count, 0);
  EXPECT_EQ(cudaSetDevice(0), cudaErrorNoDevice);
  void* p = nullptr;
  EXPECT_EQ(cudaMalloc(&p, 4), cudaErrorNoDevice);
}

TEST(Devices, AreCurrentForAThread) {
  configure(settings_for(Order::kLazy, 1, 2));
  EXPECT_CUDA(cudaSetDevice(1));
  int device = -1;
  std::thread([&device] { EXPECT_CUDA(cudaGetDevice(&device)); }).join();
  EXPECT_EQ(device, 0);
}

TEST(Devices, KernelsNeedTheirsToBeCurrent) {
  configure(settings_for(Order::kLazy, 1, 2));
  Resources resources;
  const cudaStream_t stream = resources.stream();
  EXPECT_CUDA(cudaSetDevice(1));
  EXPECT_THROW(enqueue(stream, "lost", [] {}), KernelError);
  EXPECT_CUDA(cudaSetDevice(0));
}

TEST(Devices, HaveALimitOfSharedMemory) {
  configure(settings_for(Order::kLazy));
  static constexpr int kKernel = 0;  // its address stands for a kernel's
  constexpr auto kAttribute = cudaFuncAttributeMaxDynamicSharedMemorySize;
  EXPECT_CUDA(cudaFuncSetAttribute(&kKernel, kAttribute, 100000));
  EXPECT_EQ(cudaFuncSetAttribute(&kKernel, kAttribute, 300000), cudaErrorInvalidValue);
}

TEST(Errors, HaveNamesAndTexts) {
  EXPECT_STREQ(cudaGetErrorName(cudaErrorMemoryAllocation), "cudaErrorMemoryAllocation");
  EXPECT_STREQ(cudaGetErrorString(cudaErrorMemoryAllocation), "out of memory");
  EXPECT_STREQ(cudaGetErrorString(cudaSuccess), "no error");
}

class Streams : public testing::TestWithParam<int> {
 protected:
  Streams() { configure(all_orders()[static_cast<std::size_t>(GetParam())]); }
  Resources resources_;
  Log log_;
};

INSTANTIATE_TEST_SUITE_P(Orders, Streams, testing::Range(0, 8));

TEST_P(Streams, KeepTheirOwnOrder) {
  const cudaStream_t stream = resources_.stream();
  log_.put(stream, "a");
  log_.put(stream, "b");
  log_.put(stream, "c");
  EXPECT_CUDA(cudaStreamSynchronize(stream));
  EXPECT_THAT(log_.ran(), ElementsAre("a", "b", "c"));
}

TEST_P(Streams, WaitForEvents) {
  const cudaStream_t one = resources_.stream();
  const cudaStream_t two = resources_.stream();
  const cudaEvent_t event = resources_.event();
  log_.put(one, "before");
  EXPECT_CUDA(cudaEventRecord(event, one));
  EXPECT_CUDA(cudaStreamWaitEvent(two, event, 0));
  // The wait is for what was recorded when it was asked for.
  EXPECT_CUDA(cudaEventRecord(event, two));
  log_.put(two, "after");
  EXPECT_CUDA(cudaStreamSynchronize(two));
  EXPECT_THAT(log_.ran(), ElementsAre("before", "after"));
}

TEST_P(Streams, AreEmptyAfterTheDeviceIs) {
  log_.put(resources_.stream(), "a");
  log_.put(resources_.stream(), "b");
  EXPECT_CUDA(cudaDeviceSynchronize());
  EXPECT_THAT(log_.ran(), testing::UnorderedElementsAre("a", "b"));
}

TEST_P(Streams, GoOnWhileTheyAreAsked) {
  const cudaStream_t stream = resources_.stream();
  const cudaEvent_t event = resources_.event();
  log_.put(stream, "a");
  EXPECT_CUDA(cudaEventRecord(event, stream));
  log_.put(stream, "b");
  while (cudaEventQuery(event) == cudaErrorNotReady) {
  }
  EXPECT_THAT(log_.ran(), testing::Contains("a"));
  while (cudaStreamQuery(stream) == cudaErrorNotReady) {
  }
  EXPECT_EQ(log_.ran().size(), 2U);
}

TEST_P(Streams, RunHostFunctions) {
  const cudaStream_t stream = resources_.stream();
  std::thread::id thread;
  EXPECT_CUDA(cudaLaunchHostFunc(
      stream, [](void* p) { *static_cast<std::thread::id*>(p) = std::this_thread::get_id(); },
      &thread));
  EXPECT_CUDA(cudaStreamSynchronize(stream));
  EXPECT_NE(thread, std::thread::id{});
}

TEST_P(Streams, ReportAFailureWhereTheHostWaits) {
  const cudaStream_t one = resources_.stream();
  const cudaStream_t two = resources_.stream();
  const cudaEvent_t event = resources_.event();
  enqueue(one, "bad", [] { throw KernelError("out of bounds"); });
  log_.put(one, "never");
  EXPECT_CUDA(cudaEventRecord(event, one));
  EXPECT_CUDA(cudaStreamWaitEvent(two, event, 0));
  log_.put(two, "never");
  EXPECT_EQ(message_of([&] { cudaStreamSynchronize(two); }), "out of bounds");
  EXPECT_EQ(message_of([&] { cudaEventSynchronize(event); }), "out of bounds");
  EXPECT_EQ(message_of([&] { cudaStreamSynchronize(one); }), "out of bounds");
  EXPECT_EQ(cudaGetLastError(), cudaErrorLaunchFailure);
  EXPECT_THAT(log_.ran(), ElementsAre());
  // Then the streams can be used again.
  log_.put(one, "next");
  EXPECT_CUDA(cudaStreamSynchronize(one));
  EXPECT_THAT(log_.ran(), ElementsAre("next"));
}

TEST_P(Streams, DoNotThrowWhileAnExceptionIsOnItsWayUp) {
  struct Waits {
    cudaStream_t stream;
    ~Waits() { EXPECT_EQ(cudaStreamSynchronize(stream), cudaErrorLaunchFailure); }
  };
  const auto run = [this] {
    const Waits waits{resources_.stream()};
    enqueue(waits.stream, "bad", [] { throw KernelError("out of bounds"); });
    throw std::runtime_error("something else");
  };
  EXPECT_THROW(run(), std::runtime_error);
}

TEST_P(Streams, OtherStreamsDoNotFail) {
  const cudaStream_t one = resources_.stream();
  const cudaStream_t two = resources_.stream();
  enqueue(one, "bad", [] { throw KernelError("out of bounds"); });
  log_.put(two, "good");
  EXPECT_CUDA(cudaStreamSynchronize(two));
  EXPECT_THROW(cudaDeviceSynchronize(), KernelError);
}

TEST_P(Streams, RunWhatIsLeftWhenTheyAreDestroyed) {
  cudaStream_t stream = nullptr;
  ASSERT_CUDA(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  log_.put(stream, "left");
  EXPECT_CUDA(cudaStreamDestroy(stream));
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaErrorInvalidResourceHandle);
  EXPECT_CUDA(cudaDeviceSynchronize());
  EXPECT_THAT(log_.ran(), ElementsAre("left"));
}

TEST_P(Streams, TellTime) {
  const cudaStream_t stream = resources_.stream();
  const cudaEvent_t start = resources_.event(cudaEventDefault);
  const cudaEvent_t end = resources_.event(cudaEventDefault);
  float milliseconds = -1;
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, start, end), cudaErrorInvalidResourceHandle);
  EXPECT_CUDA(cudaEventRecord(start, stream));
  log_.put(stream, "work");
  EXPECT_CUDA(cudaEventRecord(end, stream));
  EXPECT_CUDA(cudaEventSynchronize(end));
  EXPECT_CUDA(cudaEventElapsedTime(&milliseconds, start, end));
  EXPECT_GT(milliseconds, 0);
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, start, resources_.event()),
            cudaErrorInvalidResourceHandle);
}

TEST(Order, LazyRunsOnlyWhatIsNeeded) {
  configure(settings_for(Order::kLazy));
  Resources resources;
  Log log;
  const cudaStream_t one = resources.stream();
  const cudaStream_t two = resources.stream();
  const cudaStream_t three = resources.stream();
  const cudaEvent_t event = resources.event();
  log.put(one, "one");
  EXPECT_CUDA(cudaEventRecord(event, one));
  log.put(one, "one again");
  log.put(two, "two");
  EXPECT_CUDA(cudaStreamWaitEvent(three, event, 0));
  log.put(three, "three");
  EXPECT_THAT(log.ran(), ElementsAre());
  EXPECT_CUDA(cudaStreamSynchronize(three));
  EXPECT_THAT(log.ran(), ElementsAre("one", "three"));
  EXPECT_CUDA(cudaDeviceSynchronize());
}

TEST(Order, EagerRunsAtOnce) {
  configure(settings_for(Order::kEager));
  Resources resources;
  Log log;
  log.put(resources.stream(), "now");
  EXPECT_THAT(log.ran(), ElementsAre("now"));
}

TEST(Order, ContraryRunsTheAwaitedLastAndTheYoungestFirst) {
  configure(settings_for(Order::kContrary));
  Resources resources;
  Log log;
  const cudaStream_t one = resources.stream();
  const cudaStream_t two = resources.stream();
  const cudaStream_t three = resources.stream();
  log.put(one, "one");
  log.put(two, "two");
  log.put(three, "three");
  EXPECT_CUDA(cudaStreamSynchronize(three));
  EXPECT_THAT(log.ran(), ElementsAre("two", "one", "three"));
}

std::vector<std::string> random_run(std::uint32_t seed) {
  configure(settings_for(Order::kRandom, seed));
  Resources resources;
  Log log;
  for (const char* name : {"a", "b", "c", "d"}) {
    const cudaStream_t stream = resources.stream();
    for (int i = 0; i < 4; ++i) log.put(stream, name);
  }
  EXPECT_CUDA(cudaDeviceSynchronize());
  return log.ran();
}

TEST(Order, RandomRepeatsWithItsSeed) {
  EXPECT_EQ(random_run(3), random_run(3));
  EXPECT_NE(random_run(3), random_run(4));
}

TEST(Rules, OnlyNonBlockingStreams) {
  configure(settings_for(Order::kLazy));
  cudaStream_t stream = nullptr;
  EXPECT_EQ(cudaStreamCreate(&stream), cudaErrorNotSupported);
  EXPECT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamDefault), cudaErrorNotSupported);
  EXPECT_THAT(last_refusal(), HasSubstr("cudaStreamCreateWithFlags: only non-blocking streams"));
  EXPECT_EQ(cudaStreamSynchronize(nullptr), cudaErrorInvalidResourceHandle);
  EXPECT_THROW(enqueue(nullptr, "kernel", [] {}), KernelError);
}

TEST(Rules, WorkDoesNotCallCuda) {
  configure(settings_for(Order::kLazy));
  Resources resources;
  const cudaStream_t stream = resources.stream();
  EXPECT_CUDA(cudaLaunchHostFunc(
      stream, [](void* p) { cudaStreamSynchronize(static_cast<cudaStream_t>(p)); }, stream));
  EXPECT_EQ(message_of([&] { cudaStreamSynchronize(stream); }),
            "cudaStreamSynchronize is called by a host function");
}

TEST(Rules, AWaitWithoutProgressIsReported) {
  configure(with_short_deadline(settings_for(Order::kLazy)));
  // A host function that does not return, so that its stream is never empty.
  std::atomic<bool> open{false};
  std::thread blocker([&] {
    Resources own;
    const cudaStream_t stream = own.stream();
    EXPECT_CUDA(cudaLaunchHostFunc(
        stream, [](void* p) { static_cast<std::atomic<bool>*>(p)->wait(false); }, &open));
    // Its own wait may be the one that runs the function, or may find it running.
    message_of([&] { cudaStreamSynchronize(stream); });
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const std::string report = message_of([&] { cudaDeviceSynchronize(); });
  EXPECT_THAT(report, HasSubstr("cudaDeviceSynchronize: no progress for 0.3 s"));
  EXPECT_THAT(report, HasSubstr("a host function"));
  open = true;
  open.notify_all();
  blocker.join();
}

TEST(Threads, DriveEachOthersWork) {
  configure(settings_for(Order::kLazy));
  Resources resources;
  const cudaStream_t stream = resources.stream();
  const cudaEvent_t event = resources.event();
  float* p = resources.device<float>(1000);
  std::thread producer([&] {
    for (int i = 0; i < 50; ++i) fill(stream, p, 1000, static_cast<float>(i));
    EXPECT_CUDA(cudaEventRecord(event, stream));
  });
  producer.join();
  std::vector<float> out(1000);
  const cudaStream_t copies = resources.stream();
  EXPECT_CUDA(cudaStreamWaitEvent(copies, event, 0));
  EXPECT_CUDA(cudaMemcpyAsync(out.data(), p, 4000, cudaMemcpyDeviceToHost, copies));
  EXPECT_CUDA(cudaStreamSynchronize(copies));
  EXPECT_THAT(out, testing::Each(49.0F));
}

TEST(Threads, WorkAtTheSameTime) {
  configure(settings_for(Order::kContrary));
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      Resources resources;
      const cudaStream_t stream = resources.stream();
      auto* p = resources.device<float>(100);
      for (int i = 0; i < 20; ++i) {
        std::vector<float> out(100);
        fill(stream, p, 100, static_cast<float>(t * 100 + i));
        EXPECT_CUDA(cudaMemcpyAsync(out.data(), p, 400, cudaMemcpyDeviceToHost, stream));
        EXPECT_CUDA(cudaStreamSynchronize(stream));
        EXPECT_THAT(out, testing::Each(static_cast<float>(t * 100 + i)));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// Nobody waits in a CUDA call: the device has to go on by itself.
TEST(Threads, MayWaitForAHostFunctionOutsideCuda) {
  configure(settings_for(Order::kLazy));
  Resources resources;
  std::atomic<bool> called{false};
  EXPECT_CUDA(cudaLaunchHostFunc(
      resources.stream(),
      [](void* p) {
        static_cast<std::atomic<bool>*>(p)->store(true);
        static_cast<std::atomic<bool>*>(p)->notify_all();
      },
      &called));
  called.wait(false);
  EXPECT_TRUE(called);
}

TEST(Pump, LetsTheDeviceGoOnForAThreadThatWaits) {
  configure(settings_for(Order::kLazy));
  Resources resources;
  Log log;
  log.put(resources.stream(), "a");
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  pump();
  EXPECT_THAT(log.ran(), ElementsAre("a"));
}

}  // namespace
}  // namespace varve::fakes
