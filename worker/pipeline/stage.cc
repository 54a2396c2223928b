#include "worker/pipeline/stage.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "common/error.h"
#include "worker/pipeline/clock.h"

namespace varve {
namespace {

bool is_decode(const Step& step) {
  return std::all_of(step.rows.begin(), step.rows.end(),
                     [](const SequenceRows& r) { return r.sample && r.count == 1; });
}

void check_finite(const RowSummary& logits, std::uint32_t sequence, std::uint32_t position) {
  if (std::isfinite(logits.largest) && std::isfinite(logits.log_sum)) return;
  throw Error(ExitCode::kOther,
              fmt::format("sequence {}, position {}: the logits are not finite (largest {}); the "
                          "model's weights or its configuration cannot be right",
                          sequence, position, logits.largest));
}

}  // namespace

Stage::Stage(StageModel& model, const Links& links, Ops& ops, const Options& options,
             StepSource* source, StageHooks hooks)
    : model_(model),
      comm_(links.comm),
      ops_(ops),
      options_(options),
      source_(source),
      hooks_(std::move(hooks)),
      scores_(links.comm, options.deadline,
              [this](int peer) { note(ActivityKind::kReceiving, step_, peer); }),
      cache_(model.config(), model.layers(),
             {.dtype = options.kv_dtype,
              .policies = options.policies,
              .inv_freq = rope_frequencies(model.config()),
              .rows = options.rows,
              .plain_slots = options.plain_slots,
              .probe_rows = options.probe_rows,
              .exchange = links.comm.size() > 1 ? &scores_ : nullptr,
              .audit = options.audit},
             ops) {
  VARVE_CHECK(model.is_first() == (source != nullptr), "layers from {}, source {}",
              model.layers().begin, source != nullptr);
  open_links(links.rows);
  positions_.reserve(options.rows);
  if (model.is_last()) logits_.resize(model.config().vocab);
}

void Stage::open_links(RowTransport& rows) {
  const std::size_t floats = options_.rows * model_.config().hidden;
  const int rank = comm_.rank();
  if (!model_.is_first()) {
    inlet_.emplace(comm_, rank - 1, rows.receiver(rank - 1, floats), options_.in_flight,
                   options_.deadline);
  }
  if (!model_.is_last()) {
    outlet_.emplace(comm_, rank + 1, rows.sender(rank + 1, floats, options_.in_flight),
                    options_.in_flight, options_.deadline);
  }
  if (model_.is_last() && !model_.is_first()) results_.emplace(comm_, options_.deadline);
}

void Stage::note(ActivityKind kind, std::uint64_t step, int peer) const {
  if (hooks_.on_activity) hooks_.on_activity(kind, step, peer);
}

void Stage::run() {
  StepKind kind = StepKind::kRows;
  while (kind != StepKind::kStop) {
    const auto begin = std::chrono::steady_clock::now();
    const Step step = take();
    step_ = step.id;
    apply(step);
    cache_.end_step();
    record(step, begin);
    kind = step.kind;
  }
  if (outlet_) outlet_->flush();
  if (inlet_) inlet_->flush();
  if (results_) results_->flush();
  scores_.flush();
}

Step Stage::take() {
  if (model_.is_first()) return take_from_source();
  note(ActivityKind::kWaitingStep, kNoStep, comm_.rank() - 1);
  return inlet_->take_header();
}

Step Stage::take_from_source() {
  const int last = comm_.size() - 1;
  while (!model_.is_last() && comm_.arrived(last, Tag::kTokens)) receive_result();
  Step step;
  while (!source_->next(step)) {
    VARVE_CHECK(!model_.is_last(), "the source waits for tokens that a single stage has given");
    receive_result();
  }
  return step;
}

void Stage::receive_result() {
  const int last = comm_.size() - 1;
  note(ActivityKind::kWaitingStep, kNoStep, last);
  const ScopedTimer timer(result_wait_ns_);
  const std::vector<std::byte> bytes =
      comm_.recv_message(last, Tag::kTokens, {options_.deadline, "sampled tokens"});
  source_->on_result(from_bytes<StepResult>(bytes, "step result"));
}

void Stage::apply(const Step& step) {
  switch (step.kind) {
    case StepKind::kOpen:
      cache_.open(step);
      if (step.parent == kNoSequence) documents_[step.sequence] = step.prompt_rows;
      if (model_.is_last()) sampling_[step.sequence] = step.sampling;
      break;
    case StepKind::kRows:
      run_rows(step);
      return;
    case StepKind::kCompact:
      // First, so that the next stage can start while this one compacts.
      if (outlet_) outlet_->pass(step, {});
      compact(step);
      return;
    case StepKind::kSave:
      if (outlet_) outlet_->pass(step, {});
      save(step);
      return;
    case StepKind::kLoad:
      if (outlet_) outlet_->pass(step, {});
      load(step);
      return;
    case StepKind::kRelease:
      cache_.release(step.sequence);
      documents_.erase(step.sequence);
      sampling_.erase(step.sequence);
      if (results_) results_->settle(step.sequence);
      break;
    case StepKind::kStop:
      break;
  }
  if (outlet_) outlet_->pass(step, {});
}

void Stage::fill_positions(const Step& step) {
  positions_.clear();
  for (const SequenceRows& r : step.rows) {
    for (std::uint32_t i = 0; i < r.count; ++i) {
      positions_.push_back(static_cast<std::int32_t>(r.begin + i));
    }
  }
  VARVE_CHECK(!positions_.empty() && positions_.size() <= options_.rows,
              "a step of {} rows, room for {}", positions_.size(), options_.rows);
}

// Rows of several sequences may share a step.
void Stage::fill_runs(const Step& step) {
  runs_.clear();
  const auto add = [this](std::size_t rows, Products products) {
    if (rows == 0) return;
    if (runs_.empty() || runs_.back().products != products) runs_.push_back({0, products});
    runs_.back().rows += rows;
  };
  for (const SequenceRows& r : step.rows) {
    const auto document = documents_.find(r.sequence);
    const std::uint32_t end = document == documents_.end() ? 0 : document->second;
    const std::uint32_t read = r.probe ? r.count : std::min(r.count, end - std::min(end, r.begin));
    add(read, Products::kSplit);
    add(r.count - read, Products::kFloat);
  }
}

void Stage::run_rows(const Step& step) {
  fill_positions(step);
  fill_runs(step);
  const Matrix x = model_.residual(positions_.size());
  if (inlet_) {
    note(ActivityKind::kReceiving, step.id, comm_.rank() - 1);
    inlet_->take_activations(step, x);
  }
  note(ActivityKind::kComputing, step.id, comm_.rank());
  {
    const ScopedTimer timer(busy_ns_);
    const bool decode = is_decode(step);
    if (decode) ops_.begin_step();
    if (model_.is_first()) model_.embed(step.tokens);
    const ModelConfig& config = model_.config();
    const auto attend = [&](std::size_t layer, ConstMatrix q, Matrix k, ConstMatrix v,
                            std::optional<std::size_t> window, Partial out) {
      const AttendParams params{.q_heads = config.q_heads,
                                .scale = 1.0F / std::sqrt(static_cast<float>(config.head_dim)),
                                .window = window};
      cache_.attend(layer, step.rows, positions_, q, k, v, params, out);
    };
    rotations_.resize(positions_.size());
    cache_.begin(step.rows, rotations_);
    model_.run(rotations_, runs_, attend);
    if (decode) ops_.end_step();
  }
  if (outlet_) {
    note(ActivityKind::kSending, step.id, comm_.rank() + 1);
    outlet_->pass(step, x);
  } else {
    sample_rows(step);
  }
  const ScopedTimer timer(busy_ns_);
  cache_.settle(step.rows);
}

void Stage::compact(const Step& step) {
  note(ActivityKind::kComputing, step.id, comm_.rank());
  std::vector<float> statistics;
  {
    const ScopedTimer timer(busy_ns_);
    statistics = cache_.statistics(step.sequence);
  }
  if (!statistics.empty()) statistics = share_statistics(statistics, step.id);
  const ScopedTimer timer(busy_ns_);
  cache_.compact(step.sequence, statistics);
}

void Stage::save(const Step& step) {
  std::vector<std::byte> own = cache_.save(step.sequence);
  const std::string what = fmt::format("the document's rows as of step {}", step.id);
  const Waiting waiting{options_.deadline, what};
  if (!model_.is_first()) {
    comm_.wait(comm_.send(own, 0, Tag::kSaved), waiting);
    return;
  }
  std::vector<std::vector<std::byte>> parts = {std::move(own)};
  for (int peer = 1; peer < comm_.size(); ++peer) {
    note(ActivityKind::kReceiving, step.id, peer);
    parts.push_back(comm_.recv_message(peer, Tag::kSaved, waiting));
  }
  source_->on_saved(std::move(parts));
}

void Stage::load(const Step& step) {
  const std::string what = fmt::format("saved rows for step {}", step.id);
  const Waiting waiting{options_.deadline, what};
  if (!model_.is_first()) {
    note(ActivityKind::kReceiving, step.id, 0);
    cache_.load(step.sequence, comm_.recv_message(0, Tag::kSaved, waiting));
    return;
  }
  const std::vector<std::vector<std::byte>> parts = source_->saved();
  VARVE_CHECK(parts.size() == static_cast<std::size_t>(comm_.size()), "{} parts for {} stages",
              parts.size(), comm_.size());
  for (int peer = 1; peer < comm_.size(); ++peer) {
    note(ActivityKind::kSending, step.id, peer);
    comm_.wait(comm_.send(parts[static_cast<std::size_t>(peer)], peer, Tag::kSaved), waiting);
  }
  cache_.load(step.sequence, parts.front());
}

// One float a layer of the whole model, in layer order. The last stage comes to it last, so it is
// where they meet.
std::vector<float> Stage::share_statistics(const std::vector<float>& own, std::uint64_t step) {
  const int last = comm_.size() - 1;
  const std::string what = fmt::format("the layers' statistics of step {}", step);
  const Waiting waiting{options_.deadline, what};
  note(ActivityKind::kReceiving, step, last);
  const ScopedTimer timer(result_wait_ns_);
  const auto parts = comm_.gather(std::as_bytes(std::span(own)), last, Tag::kStatistics, waiting);
  std::vector<std::byte> bytes;
  for (const std::vector<std::byte>& part : parts) {
    bytes.insert(bytes.end(), part.begin(), part.end());
  }
  comm_.broadcast(bytes, last, Tag::kStatistics, waiting);
  VARVE_CHECK(bytes.size() == model_.config().layers * sizeof(float),
              "{} bytes of statistics for {} layers", bytes.size(), model_.config().layers);
  std::vector<float> all(model_.config().layers);
  std::memcpy(all.data(), bytes.data(), bytes.size());
  return all;
}

void Stage::list_wanted(const Step& step) {
  wanted_.clear();
  std::size_t at = 0;
  for (const SequenceRows& r : step.rows) {
    for (std::size_t i = 0; i + 1 < r.count && r.score; ++i) {
      wanted_.push_back(
          {at + i, r.begin + static_cast<std::uint32_t>(i), r.sequence, step.tokens[at + i + 1]});
    }
    at += r.count;
    if (r.sample) wanted_.push_back({at - 1, r.begin + r.count - 1, r.sequence, std::nullopt});
  }
}

// In pieces, since there is room for the logits of so many rows.
void Stage::sample_rows(const Step& step) {
  list_wanted(step);
  if (wanted_.empty()) return;
  note(ActivityKind::kSampling, step.id, comm_.rank());
  StepResult result{.step = step.id, .tokens = {}};
  {
    const ScopedTimer timer(busy_ns_);
    for (std::size_t at = 0; at < wanted_.size(); at += model_.samples()) {
      const std::size_t count = std::min(model_.samples(), wanted_.size() - at);
      sample_piece(step, std::span(wanted_).subspan(at, count), result);
    }
  }
  deliver(result);
}

void Stage::show_logits(const Step& step, ConstMatrix logits) {
  std::vector<float> host(logits.rows * logits.cols);
  ops_.download(host.data(), logits.data, host.size() * sizeof(float));
  hooks_.on_logits(step, {host.data(), logits.rows, logits.cols, logits.cols});
}

void Stage::sample_piece(const Step& step, std::span<const Wanted> wanted, StepResult& result) {
  logit_rows_.clear();
  for (const Wanted& w : wanted) logit_rows_.push_back(w.row);
  const Matrix logits = model_.logits(logit_rows_);
  if (hooks_.on_logits) show_logits(step, logits);
  summaries_.resize(logits.rows);
  ops_.summarize(logits, summaries_);
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    check_finite(summaries_[i], wanted[i].sequence, wanted[i].position);
    const Sampled s = choose(wanted[i], summaries_[i], logits.row(i));
    result.tokens.push_back({wanted[i].sequence, wanted[i].position, s.token, s.logprob});
  }
}

Sampled Stage::choose(const Wanted& wanted, const RowSummary& summary, const float* logits) {
  if (wanted.target) {
    float logit = 0;
    ops_.download(&logit, logits + *wanted.target, sizeof logit);
    return {*wanted.target, logit - summary.largest - summary.log_sum};
  }
  const SamplingParams& params = sampling_.at(wanted.sequence);
  if (params.temperature > 0) {
    ops_.download(logits_.data(), logits, logits_.size() * sizeof(float));
  }
  return sample(summary, logits_, params, wanted.position);
}

void Stage::deliver(const StepResult& result) {
  if (model_.is_first()) {
    source_->on_result(result);
    return;
  }
  results_->send(result);
}

void Stage::record(const Step& step, std::chrono::steady_clock::time_point begin) {
  const auto elapsed = std::chrono::steady_clock::now() - begin;
  const std::uint64_t receive_ns = result_wait_ns_ + (inlet_ ? inlet_->wait_ns() : 0);
  const std::uint64_t send_ns = outlet_ ? outlet_->wait_ns() : 0;
  if (step.kind == StepKind::kRows) {
    PhaseReport& phase = is_decode(step) ? times_.decode : times_.prefill;
    ++phase.steps;
    phase.rows += row_count(step);
    phase.elapsed_ns += static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(elapsed).count());
    phase.busy_ns += busy_ns_ - seen_busy_ns_;
    phase.receive_ns += receive_ns - seen_receive_ns_;
    phase.send_ns += send_ns - seen_send_ns_;
  }
  seen_busy_ns_ = busy_ns_;
  seen_receive_ns_ = receive_ns;
  seen_send_ns_ = send_ns;
  if (hooks_.on_step_done) hooks_.on_step_done(times_, cache_.ledger().current());
}

}  // namespace varve
