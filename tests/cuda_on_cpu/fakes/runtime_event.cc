#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "tests/cuda_on_cpu/fakes/call.h"
#include "tests/cuda_on_cpu/fakes/capture.h"

namespace varve::fakes {
namespace {

constexpr float kMillisecondsPerTick = 0.001F;  // nominal: a step of the device is a microsecond

cudaError_t create(Call& call, cudaEvent_t* event, unsigned flags) {
  constexpr unsigned kKnown = cudaEventBlockingSync | cudaEventDisableTiming;
  if (event == nullptr) return call.refuse(cudaErrorInvalidValue, "no place for the event");
  if (const cudaError_t error = call.check_device(call.thread().device)) return error;
  if ((flags & ~kKnown) != 0) {
    return call.refuse(cudaErrorNotSupported, "events between processes are not faked");
  }
  *event = new CUevent_st{call.thread().device, flags, nullptr};
  return cudaSuccess;
}

cudaError_t check(Call& call, cudaEvent_t event) {
  if (event != nullptr) return cudaSuccess;
  return call.refuse(cudaErrorInvalidResourceHandle, "no event");
}

bool active(Machine& machine, const std::shared_ptr<Capture>& capture) {
  const auto& all = machine.captures();
  return std::find(all.begin(), all.end(), capture) != all.end();
}

Op record_op(const std::shared_ptr<Record>& record) {
  Op op{"an event's record", once([record] {
          record->tick = Machine::get().tick();
          record->done = true;
        })};
  op.drop = [record](const std::exception_ptr& failure) {
    record->failure = failure;
    record->done = true;
  };
  return op;
}

cudaError_t record(Call& call, cudaEvent_t event, cudaStream_t stream) {
  if (const cudaError_t error = check(call, event)) return error;
  if (const cudaError_t error = call.check_stream(stream)) return error;
  if (event->device != stream->device) {
    return call.refuse(cudaErrorInvalidResourceHandle, "event and stream are of two devices");
  }
  event->record = std::make_shared<Record>();
  event->record->stream = stream;
  if (stream->capture != nullptr) {
    event->record->capture = stream->capture;
    event->record->after = stream->capture->frontier[stream];
  } else {
    call.machine().push(*stream, record_op(event->record));
  }
  return cudaSuccess;
}

Op wait_op(const std::shared_ptr<Record>& record) {
  Op op{"a wait for an event", [record] {
          if (!record->done) return Progress::kStuck;
          if (record->failure != nullptr) std::rethrow_exception(record->failure);
          return Progress::kDone;
        }};
  op.awaits = record;
  return op;
}

cudaError_t join(Call& call, CUstream_st& stream, const Record& record) {
  if (!active(call.machine(), record.capture)) {
    return call.refuse(cudaErrorCapturedEvent, "the event was recorded in a capture that ended");
  }
  if (stream.capture != nullptr && stream.capture != record.capture) {
    stream.capture->invalid = record.capture->invalid = true;
    return call.refuse(cudaErrorStreamCaptureMerge, "the event belongs to another capture");
  }
  stream.capture = record.capture;
  stream.capture->frontier[&stream].insert(record.after.begin(), record.after.end());
  return cudaSuccess;
}

cudaError_t wait(Call& call, cudaStream_t stream, cudaEvent_t event) {
  if (const cudaError_t error = check(call, event)) return error;
  if (const cudaError_t error = call.check_stream(stream)) return error;
  const std::shared_ptr<Record> record = event->record;
  if (record == nullptr) return cudaSuccess;
  if (record->capture != nullptr) return join(call, *stream, *record);
  if (stream->capture != nullptr) {
    stream->capture->invalid = true;
    return call.refuse(cudaErrorStreamCaptureIsolation,
                       "a captured stream waits for work that is not captured");
  }
  call.machine().push(*stream, wait_op(record));
  return cudaSuccess;
}

// For calls that ask whether the event has happened.
cudaError_t check_not_captured(Call& call, const CUevent_st& event) {
  if (event.record == nullptr || event.record->capture == nullptr) return cudaSuccess;
  event.record->capture->invalid = true;
  return call.refuse(cudaErrorCapturedEvent, "the event was recorded in a capture");
}

cudaError_t synchronize(Call& call, cudaEvent_t event) {
  if (const cudaError_t error = check(call, event)) return error;
  if (const cudaError_t error = check_not_captured(call, *event)) return error;
  const std::shared_ptr<Record> record = event->record;
  if (record == nullptr) return cudaSuccess;
  Machine& machine = call.machine();
  machine.drive(call, machine.find(record->stream), [&record] { return record->done; });
  return call.report(record->failure);
}

cudaError_t query(Call& call, cudaEvent_t event) {
  if (const cudaError_t error = check(call, event)) return error;
  if (const cudaError_t error = check_not_captured(call, *event)) return error;
  const std::shared_ptr<Record> record = event->record;
  if (record == nullptr) return cudaSuccess;
  if (!record->done) call.machine().advance(call.machine().find(record->stream));
  if (const cudaError_t error = call.report(record->failure)) return error;
  return record->done ? cudaSuccess : call.answer(cudaErrorNotReady);
}

cudaError_t elapsed(Call& call, float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  for (const CUevent_st* event : {start, end}) {
    if (event == nullptr || (event->flags & cudaEventDisableTiming) != 0) {
      return call.refuse(cudaErrorInvalidResourceHandle, "an event that keeps no time");
    }
    if (event->record == nullptr || event->record->capture != nullptr) {
      return call.refuse(cudaErrorInvalidResourceHandle, "an event that was never recorded");
    }
  }
  if (!start->record->done || !end->record->done) return call.answer(cudaErrorNotReady);
  const auto ticks = static_cast<std::int64_t>(end->record->tick - start->record->tick);
  *milliseconds = static_cast<float>(ticks) * kMillisecondsPerTick;
  return cudaSuccess;
}

}  // namespace
}  // namespace varve::fakes

extern "C" {

using varve::fakes::Call;

cudaError_t cudaEventCreate(cudaEvent_t* event) {
  Call call("cudaEventCreate");
  return varve::fakes::create(call, event, cudaEventDefault);
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  Call call("cudaEventCreateWithFlags");
  return varve::fakes::create(call, event, flags);
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  Call call("cudaEventDestroy");
  if (const cudaError_t error = varve::fakes::check(call, event)) return error;
  delete event;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  Call call("cudaEventRecord");
  return varve::fakes::record(call, event, stream);
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  Call call("cudaStreamWaitEvent");
  return varve::fakes::wait(call, stream, event);
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  Call call("cudaEventSynchronize");
  return varve::fakes::synchronize(call, event);
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  Call call("cudaEventQuery", Call::Kind::kPoll);
  return varve::fakes::query(call, event);
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  Call call("cudaEventElapsedTime");
  return varve::fakes::elapsed(call, milliseconds, start, end);
}

}  // extern "C"
