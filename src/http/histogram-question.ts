/** The query of `GET /v1/histograms`: `last` is a number of seconds, `name` a histogram. */
import type { HistogramQuestion } from '../metrics/histogram-report.ts';
import { recentMsMax } from '../metrics/histogram-store.ts';
import { refuseRequest } from './json-route.ts';

/** Errors: DataPlaneError `InvalidArgument`. */
export function histogramQuestion(query: URLSearchParams): HistogramQuestion {
  const last = query.get('last');
  const lastS = Number(last);
  if (last !== null && !(lastS >= 1 && lastS <= recentMsMax / 1000)) {
    refuseRequest(`last: must be a number of seconds from 1 to ${recentMsMax / 1000}`);
  }
  return { lastMs: last === null ? null : lastS * 1000, name: query.get('name') };
}
