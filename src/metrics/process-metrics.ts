/** What the operating system says about this process: CPU, memory, page faults, time up. */
import { type Clock, systemClock } from '../base/clock.ts';
import type { Registry } from './registry.ts';

/** Adds the process metrics to a registry; they are read when the text is printed. */
export function registerProcessMetrics(registry: Registry, clock: Clock = systemClock): void {
  const startedMs = clock.monotonicMs();
  const one = (kind: 'gauge' | 'counter', name: string, help: string, read: () => number): void =>
    registry.readout(kind, name, help, [], () => [{ labelValues: [], value: read() }]);
  one('counter', 'skyshard_process_cpu_us', 'CPU time of all threads, user and system.', () => {
    const { user, system } = process.cpuUsage();
    return user + system;
  });
  one('gauge', 'skyshard_process_resident_bytes', 'Memory in RAM, mapped files included.', () =>
    process.memoryUsage.rss(),
  );
  one('gauge', 'skyshard_process_heap_bytes', 'JavaScript heap in use.', () => process.memoryUsage().heapUsed);
  one('gauge', 'skyshard_process_external_bytes', 'Memory of buffers outside the JavaScript heap.', () => {
    return process.memoryUsage().external;
  });
  one('counter', 'skyshard_process_page_faults_major', 'Page faults that had to read the disk.', () => {
    return process.resourceUsage().majorPageFault;
  });
  one('counter', 'skyshard_process_page_faults_minor', 'Page faults that found the page in memory.', () => {
    return process.resourceUsage().minorPageFault;
  });
  one('counter', 'skyshard_process_context_switches_involuntary', 'Times that this process was set aside.', () => {
    return process.resourceUsage().involuntaryContextSwitches;
  });
  one('gauge', 'skyshard_process_up_ms', 'Time since the start.', () => clock.monotonicMs() - startedMs);
}
