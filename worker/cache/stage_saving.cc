// The part of StageCache by which a document that is being read is saved and read back.
#include "common/error.h"
#include "worker/cache/saved_sequence.h"
#include "worker/cache/stage_cache.h"

namespace varve {

std::vector<std::byte> StageCache::save(std::uint32_t id) {
  Sequence& sequence = find(id);
  VARVE_CHECK(sequence.is_document, "sequence {} is no document", id);
  SavedSequence saved;
  saved.seen = sequence.seen;
  for (const LayerCache& cache : sequence.layers) {
    SavedLayer& layer = saved.layers.emplace_back();
    layer.own = cache.own->save();
    for (const QuestionCache& question : cache.questions) {
      const bool scores = contrast_of(sequence) > 0;
      layer.questions.push_back(
          {question.kept->save(), scores ? question.probed->values() : std::vector<float>{}});
    }
    if (cache.observed) layer.observed.push_back(cache.observed->get().save());
  }
  if (sequence.together) saved.under_way = sequence.together->save();
  return to_bytes(saved);
}

void StageCache::load(std::uint32_t id, std::span<const std::byte> bytes) {
  Sequence& sequence = find(id);
  VARVE_CHECK(sequence.is_document && sequence.seen == 0, "sequence {} has {} rows already", id,
              sequence.seen);
  const auto saved = from_bytes<SavedSequence>(bytes, "saved rows");
  VARVE_CHECK(saved.layers.size() == sequence.layers.size(), "{} layers were saved, {} are here",
              saved.layers.size(), sequence.layers.size());
  sequence.seen = saved.seen;
  for (std::size_t local = 0; local < layers_.count(); ++local) {
    LayerCache& cache = sequence.layers[local];
    const SavedLayer& layer = saved.layers[local];
    cache.own->load(layer.own);
    VARVE_CHECK(layer.questions.size() == cache.questions.size(), "{} questions were saved, not {}",
                layer.questions.size(), cache.questions.size());
    for (std::size_t i = 0; i < cache.questions.size(); ++i) {
      cache.questions[i].kept->load(layer.questions[i].kept);
      cache.questions[i].probed->restore(layer.questions[i].scores);
    }
    VARVE_CHECK(layer.observed.empty() == (cache.observed == nullptr), "layer {}: observed or not",
                model_layer(local));
    if (cache.observed) cache.observed->get().load(layer.observed.front());
  }
  VARVE_CHECK(sequence.together != nullptr || saved.under_way.empty(), "scores without a use");
  if (sequence.together) sequence.together->load(saved.under_way);
}

}  // namespace varve
