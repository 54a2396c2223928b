// The part of StageCache for documents that are read locally. A layer then holds
//   own    the first rows, and the last ones with those that have come since the last eviction:
//          all that the document's rows see, so that they depend on no question
//   kept   of each question, standing between those: what its probe has chosen of the rows that
//          went out of `own`, and sees besides
#include <algorithm>
#include <array>
#include <numeric>

#include "common/error.h"
#include "worker/cache/stage_cache.h"

namespace varve {
namespace {

// Rows [begin, end) of each head of a segment whose heads hold equally many.
SegmentView part_of(const SegmentView& segment, std::size_t begin, std::size_t end,
                    std::vector<HeadRows>& heads) {
  VARVE_CHECK(!segment.shared_positions, "a part of a segment whose heads share positions");
  heads.assign(segment.heads.begin(), segment.heads.end());
  for (HeadRows& head : heads) {
    head.begin += static_cast<std::uint32_t>(begin);
    head.rows = static_cast<std::uint32_t>(end - begin);
  }
  SegmentView view = segment;
  view.heads = heads;
  return view;
}

std::size_t rows_of(std::span<const SequenceRows> ranges) {
  std::size_t rows = 0;
  for (const SequenceRows& r : ranges) rows += r.count;
  return rows;
}

// Calls act(number, first row) for each range of a step, from row `at` on.
template <class Act>
void for_each_probe(std::span<const SequenceRows> ranges, std::size_t at, const Act& act) {
  for (std::size_t i = 0; i < ranges.size(); at += ranges[i++].count) act(i, at);
}

// All rows of every head but those of [begin, end).
KeptRows all_but(std::size_t rows, std::size_t begin, std::size_t end, std::size_t heads) {
  std::vector<std::uint32_t> kept(rows - (end - begin));
  std::iota(kept.begin(), kept.end(), 0U);
  for (std::size_t i = begin; i < kept.size(); ++i) {
    kept[i] += static_cast<std::uint32_t>(end - begin);
  }
  return {std::vector(heads, kept)};
}

}  // namespace

void StageCache::open_questions(Sequence& fresh, std::size_t local, std::size_t probed) {
  const std::size_t rows = own_kept_rows(fresh.policy->config, keep_of(fresh, local).budget);
  for (std::uint32_t i = 0; i < fresh.questions; ++i) {
    QuestionCache& question = fresh.layers[local].questions.emplace_back();
    question.kept = std::make_unique<Segment>(
        SegmentShape::even(model_, rows, options_.dtype, false), model_.head_dim, ops_, ledger_);
    question.probed = std::make_unique<ProbedRows>(model_.kv_heads, probed, ledger_);
  }
}

// Valid until the next call.
SegmentView StageCache::turned(const Sequence& sequence, const SegmentView& rows,
                               std::size_t slot) {
  return sequence.plain_keys ? plain_->turn(rows, slot) : rows;
}

// The first rows, what the question has kept, the others, itself: always folded in this order.
// Under a contrast, whose scores are never taken again, a probe does not see what is kept: else a
// row's score would depend on how much had been kept when it came, and the first ones would win.
void StageCache::attend_question_probes(Sequence& sequence, std::size_t local,
                                        std::span<const SequenceRows> rows, std::size_t at,
                                        const Attending& step) {
  LayerCache& cache = sequence.layers[local];
  VARVE_CHECK(rows.size() == cache.questions.size(), "{} probes for {} questions", rows.size(),
              cache.questions.size());
  const SegmentView own = cache.own->view();
  const std::size_t held = own.most_rows();
  const std::size_t first = std::min(keep_of(sequence, local).first, held);
  const bool sees_kept = contrast_of(sequence) == 0;
  const std::size_t kept = sees_kept ? cache.questions.front().kept->rows(0) : 0;
  const std::size_t all = rows_of(rows);
  const auto see = [&](std::size_t begin, std::size_t count, const SegmentView& segment) {
    const AttendItem item{begin, count, segment};
    if (segment.most_rows() > 0) ops_.attend(step.q, step.positions, {&item, 1}, params_, step.out);
  };
  std::vector<HeadRows> heads;
  see(at, all, turned(sequence, part_of(own, 0, first, heads), 0));
  for_each_probe(rows, at, [&](std::size_t i, std::size_t begin) {
    if (!sees_kept) return;
    see(begin, rows[i].count, turned(sequence, cache.questions[i].kept->view(), first));
  });
  const SegmentView rest = turned(sequence, part_of(own, first, held, heads), first + kept);
  see(at, all, rest);
  for_each_probe(rows, at, [&](std::size_t i, std::size_t begin) {
    see(begin, rows[i].count, probes_[step.probes + i]->view());
  });
  note_question_probes(sequence, local, rows, at, step, rest);
}

double StageCache::contrast_of(const Sequence& sequence) {
  return sequence.policy->config.scorer.get("contrast");
}

// What each probe pays to the document's `rest`, whose keys are turned, and to its own rows. Under
// a contrast those stand by what they were chosen for.
void StageCache::note_question_probes(Sequence& sequence, std::size_t local,
                                      std::span<const SequenceRows> rows, std::size_t at,
                                      const Attending& step, const SegmentView& rest) {
  LayerCache& cache = sequence.layers[local];
  const double contrast = contrast_of(sequence);
  const bool sum = sequence.policy->config.scorer.choice("tokens") == "sum";
  const std::size_t kept = cache.questions.front().kept->rows(0);
  const std::size_t others = rest.most_rows();
  const bool asked = votes(sequence, local);
  for_each_probe(rows, at, [&](std::size_t i, std::size_t begin) {
    ProbedRows& probed = *cache.questions[i].probed;
    if (contrast > 0) {
      probed.restart(kept, kept + others);
    } else {
      probed.reset(kept + others);
    }
    if (!asked) return;
    add_probe(ops_, params_, step.rows(begin, rows[i].count), rest, sum, probed.part(kept, others));
  });
  sequence.probed = true;
  if (!asked) return;
  if (contrast > 0) {
    take_off_others(cache, kept, contrast);
    return;
  }
  const std::size_t first =
      std::min<std::size_t>(keep_of(sequence, local).first, cache.own->rows(0));
  for_each_probe(rows, at, [&](std::size_t i, std::size_t begin) {
    if (kept == 0) return;
    QuestionCache& question = cache.questions[i];
    add_probe(ops_, params_, step.rows(begin, rows[i].count),
              turned(sequence, question.kept->view(), first), sum, question.probed->part(0, kept));
  });
}

// Rows that look alike to all questions (every "the pass key of") are worth little to one of them:
// from what its probe pays goes a share of what the others pay on average.
void StageCache::take_off_others(LayerCache& cache, std::size_t kept, double contrast) const {
  const std::size_t questions = cache.questions.size();
  if (questions < 2) return;
  const std::size_t others = cache.questions.front().probed->rows() - kept;
  for (std::size_t h = 0; h < model_.kv_heads; ++h) {
    for (std::size_t row = 0; row < others; ++row) {
      double all = 0;
      for (const QuestionCache& q : cache.questions)
        all += q.probed->part(kept, others).row(h)[row];
      for (const QuestionCache& q : cache.questions) {
        float& paid = q.probed->part(kept, others).row(h)[row];
        const double mean = (all - paid) / static_cast<double>(questions - 1);
        paid = static_cast<float>(paid - contrast * mean);
      }
    }
  }
}

// Each head of a layer for itself.
KeptRows StageCache::choose_for_question(const Sequence& sequence, std::size_t local,
                                         std::size_t question) const {
  const ProbedRows& probed = *sequence.layers[local].questions[question].probed;
  return best_for_question(sequence, local, question, probed.values(), model_.kv_heads);
}

// One choice for all heads and layers of the stage.
KeptRows StageCache::choose_for_question(const Sequence& sequence, std::size_t question) const {
  std::vector<std::int64_t> sums(sequence.layers.front().questions[question].probed->rows());
  for (std::size_t local = 0; local < layers_.count(); ++local) {
    if (votes(sequence, local)) {
      add_fixed(sequence.layers[local].questions[question].probed->values(), sums);
    }
  }
  const KeptRows best = best_for_question(sequence, 0, question, from_fixed(sums), 1);
  return {std::vector(model_.kv_heads, best.heads.front())};
}

// Of scores [heads, rows] that end with the document's last rows, which stay anyway.
KeptRows StageCache::best_for_question(const Sequence& sequence, std::size_t local,
                                       std::size_t question, std::vector<float> scores,
                                       std::size_t heads) const {
  const PolicyConfig& policy = sequence.policy->config;
  const Keep keep = keep_of(sequence, local);
  PlacedScores rows{std::move(scores), {}, heads};
  const LayerCache& cache = sequence.layers[local];
  for (std::size_t h = 0; h < heads; ++h) {
    const auto kept = positions_of(cache.questions[question].kept->view(), h);
    const auto own = positions_of(cache.own->view(), h);
    rows.positions.insert(rows.positions.end(), kept.begin(), kept.end());
    rows.positions.insert(rows.positions.end(),
                          own.begin() + static_cast<std::ptrdiff_t>(keep.first), own.end());
  }
  const std::size_t candidates = rows.columns() - keep.last;
  const std::size_t budget = std::min(own_kept_rows(policy, keep.budget), candidates);
  return best_pooled(std::move(rows), candidates, {budget, 0, 0}, policy.scorer.count("kernel"));
}

// `kept` counts what the question holds, then the document's own rows behind the first ones.
void StageCache::keep_for_question(const Sequence& sequence, std::size_t local,
                                   const KeptRows& kept, QuestionCache& question) {
  const SegmentView own = sequence.layers[local].own->view();
  const auto held = static_cast<std::uint32_t>(question.kept->rows(0));
  const auto first = static_cast<std::uint32_t>(keep_of(sequence, local).first);
  KeptRows stay{std::vector<std::vector<std::uint32_t>>(model_.kv_heads)};
  KeptRows come = stay;
  for (std::size_t h = 0; h < model_.kv_heads; ++h) {
    for (const std::uint32_t row : kept.heads[h]) {
      if (row < held) {
        stay.heads[h].push_back(row);
      } else {
        come.heads[h].push_back(row - held + first);
      }
    }
  }
  if (contrast_of(sequence) > 0) question.probed->keep(kept);
  question.kept->keep(stay);
  for (std::size_t h = 0; h < model_.kv_heads; ++h) {
    question.kept->gather(own, h, come.heads[h]);
  }
}

void StageCache::evict_for_questions(Sequence& sequence) {
  const Keep keep = keep_of(sequence, 0);
  const std::size_t held = sequence.layers.front().own->rows(0);
  if (held <= keep.first + keep.last) return;
  VARVE_CHECK(sequence.probed, "no probe came with the rows before a compaction");
  const bool one_choice = sequence.policy->config.scorer.choice("scope") == "stage";
  for (std::size_t i = 0; i < sequence.questions; ++i) {
    KeptRows kept;
    if (one_choice) kept = choose_for_question(sequence, i);
    for (std::size_t local = 0; local < layers_.count(); ++local) {
      if (!one_choice) kept = choose_for_question(sequence, local, i);
      keep_for_question(sequence, local, kept, sequence.layers[local].questions[i]);
    }
  }
  const KeptRows sides = all_but(held, keep.first, held - keep.last, model_.kv_heads);
  for (LayerCache& cache : sequence.layers) cache.own->keep(sides);
  sequence.probed = false;
}

void StageCache::compact_for_questions(std::uint32_t id, Sequence& sequence, std::size_t local) {
  LayerCache& cache = sequence.layers[local];
  const SegmentView own = cache.own->view();
  const std::size_t held = own.most_rows();
  const std::size_t first = std::min(keep_of(sequence, local).first, held);
  std::vector<HeadRows> first_heads;
  std::vector<HeadRows> last_heads;
  const SegmentView begin = part_of(own, 0, first, first_heads);
  const SegmentView end = part_of(own, first, held, last_heads);
  for (std::size_t i = 0; i < cache.questions.size(); ++i) {
    QuestionCache& question = cache.questions[i];
    const std::array<SegmentView, 3> rows = {begin, question.kept->view(), end};
    question.shared =
        compactor_.copy(rows, all_rows(rows), sequence.policy->config, turn_of(sequence));
    note_compaction(sequence, local, question.shared, (std::uint64_t{i} + 1) << 32U | id);
  }
  cache.own.reset();
  for (QuestionCache& question : cache.questions) {
    question.kept.reset();
    question.probed.reset();
  }
}

}  // namespace varve
