#pragma once

// A run thought through before it starts: everything that can be known to fail is found here.

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "client/target.h"
#include "load/load_options.h"
#include "load/source_plan.h"
#include "load/worker.h"
#include "load/worker_shares.h"

namespace holdfast::load {

struct LoadPlan {
  LoadOptions options;
  client::Target target;
  SourcePlan sources;
  std::shared_ptr<const protocol::TlsClientContext> tls;  // wss://; null: ws://
  Traffic traffic = Traffic::kNone;
  WorkerShares shares;  // of those that are to stay
  WorkerShares
      odd_shares;  // of those that will vanish or stop reading; 0 connections where there are none
  std::uint32_t cpus = 1;
  std::uint64_t fewer = 0;  // connections that were asked for and cannot be made (--allow-fewer)
};

// Resolves the target, raises the descriptor limit, and shares out what was asked for. The error
// names the option, its value and what would be right.
Result<LoadPlan> plan_load(const LoadOptions& options);

}  // namespace holdfast::load
