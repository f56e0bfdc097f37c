// A question to all workers at once, and the wait for their answers.

#include <algorithm>
#include <chrono>
#include <future>
#include <iterator>
#include <memory>
#include <utility>
#include <vector>

#include "server/cluster.h"

namespace holdfast::server {

Survey Cluster::survey(const SurveyOrder& order, Duration patience) const {
  std::vector<std::future<Survey>> answers;
  for (std::uint32_t i = 0; i < sizing_.workers && i < mailboxes_.size(); ++i) {
    // Shared with the question: a late answer finds its place, and nobody there.
    const auto answer = std::make_shared<std::promise<Survey>>();
    auto letter = std::make_shared<broker::Publication>();
    letter->errand = std::make_unique<const broker::Errand>(broker::Errand{
        .visit = [answer, order](Worker& worker) { answer->set_value(worker.survey(order)); }});
    if (mailboxes_[i]->post(std::move(letter))) answers.push_back(answer->get_future());
  }
  const auto deadline = std::chrono::steady_clock::now() + patience;
  Survey all;
  all.workers_missing = sizing_.workers;
  for (auto& answer : answers) {
    if (answer.wait_until(deadline) != std::future_status::ready) continue;
    Survey survey;
    try {
      survey = answer.get();
    } catch (const std::future_error&) {
      continue;  // it ended without looking into its mailbox
    }
    --all.workers_missing;
    std::move(survey.connections.begin(), survey.connections.end(),
              std::back_inserter(all.connections));
    std::move(survey.topics.begin(), survey.topics.end(), std::back_inserter(all.topics));
  }
  keep_first(all.connections, order);
  keep_largest(all.topics, order.topics_max);
  return all;
}

}  // namespace holdfast::server
