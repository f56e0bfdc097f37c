// A question to all workers at once, and the wait for their answers.

#include <algorithm>
#include <condition_variable>
#include <iterator>
#include <memory>
#include <mutex>
#include <utility>

#include "server/cluster.h"

namespace holdfast::server {
namespace {

// Held by the questions that are under way too: one that is answered late writes into nobody's
// memory.
struct Answers {
  std::mutex mutex;
  std::condition_variable came;
  std::vector<Survey> surveys;
};

}  // namespace

Survey Cluster::survey(const SurveyOrder& order, Duration patience) const {
  const auto answers = std::make_shared<Answers>();
  std::size_t asked = 0;
  for (std::uint32_t i = 0; i < sizing_.workers && i < mailboxes_.size(); ++i) {
    auto letter = std::make_shared<broker::Publication>();
    letter->errand = std::make_unique<const broker::Errand>(
        broker::Errand{.visit = [answers, order](Worker& worker) {
          Survey survey = worker.survey(order);
          const std::lock_guard lock(answers->mutex);
          answers->surveys.push_back(std::move(survey));
          answers->came.notify_one();
        }});
    if (mailboxes_[i]->post(std::move(letter))) ++asked;
  }
  std::unique_lock lock(answers->mutex);
  answers->came.wait_for(lock, patience, [&] { return answers->surveys.size() == asked; });
  Survey all;
  all.workers_missing = sizing_.workers - answers->surveys.size();
  for (Survey& survey : answers->surveys) {
    std::move(survey.connections.begin(), survey.connections.end(),
              std::back_inserter(all.connections));
    std::move(survey.topics.begin(), survey.topics.end(), std::back_inserter(all.topics));
  }
  keep_first(all.connections, order);
  keep_largest(all.topics, order.topics_max);
  return all;
}

}  // namespace holdfast::server
