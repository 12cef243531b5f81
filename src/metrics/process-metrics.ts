/** Metrics of this process from the system and Node: CPU, memory, event loop, page faults. */
import { collectDefaultMetrics, type Registry } from 'prom-client';
import { registerReadout } from './metric.ts';

/** Library gauges named like counters; each is the sum of a gauge that stays. */
const misnamed = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total'];

/** Of the timer that measures the event loop: at 10 ms it takes 0.8 % of a core when idle. */
const eventLoopTimerMs = 100;

/** Adds the process metrics to a registry. From here on the event loop is measured. */
export function registerProcessMetrics(registry: Registry): void {
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: eventLoopTimerMs });
  for (const name of misnamed) registry.removeSingleMetric(name);
  registerReadout(registry, 'skyshard_page_faults_total', () => {
    const { majorPageFault, minorPageFault } = process.resourceUsage();
    return byKind({ major: majorPageFault, minor: minorPageFault });
  });
  registerReadout(registry, 'skyshard_context_switches_total', () => {
    const { voluntaryContextSwitches, involuntaryContextSwitches } = process.resourceUsage();
    return byKind({ voluntary: voluntaryContextSwitches, involuntary: involuntaryContextSwitches });
  });
}

function byKind(valueByKind: Readonly<Record<string, number>>): { labels: { kind: string }; value: number }[] {
  return Object.entries(valueByKind).map(([kind, value]) => ({ labels: { kind }, value }));
}
