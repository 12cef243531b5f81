/** `GET /v1/histograms`: what the router recorded and, with `nodes=all`, what nodes did. */
import type { Clock } from '../base/clock.ts';
import { operatingFailure } from '../base/data-plane-error.ts';
import { histogramQuestion } from '../http/histogram-question.ts';
import { getRoute, type JsonRoute } from '../http/json-route.ts';
import type { HistogramQuestion, HistogramReport, HistogramSource } from '../metrics/histogram-report.ts';
import { histogramsAnswer, histogramsRequest } from '../wire/histogram-messages.ts';
import { nodeCalls } from '../wire/node-calls.ts';
import type { ServiceRouter } from './plan/service-router.ts';

const askTimeoutMs = 5_000;

/** A node's histograms, or why there are none. */
type NodeReport = HistogramReport | { readonly process: string; readonly error: string };

/** Asks the nodes of a router, but for the one whose histograms are the router's own. */
export async function reportsOfNodes(
  { fanOut }: ServiceRouter,
  question: HistogramQuestion,
  ownNode: string | null,
  clock: Clock,
): Promise<NodeReport[]> {
  const deadlineMs = clock.monotonicMs() + askTimeoutMs;
  const payload = histogramsRequest.encode(question);
  const one = async (process: string, node: number): Promise<NodeReport[]> => {
    if (process === ownNode) return [];
    try {
      return [histogramsAnswer.decode(await fanOut.ask(node, nodeCalls.histograms, payload, deadlineMs))];
    } catch (thrown) {
      return [{ process, error: operatingFailure(thrown).message }];
    }
  };
  return (await Promise.all(fanOut.nodeNames.map(one))).flat();
}

export function histogramRoutes(
  router: ServiceRouter,
  own: HistogramSource,
  ownNode: string | null,
  clock: Clock,
): JsonRoute[] {
  return [
    getRoute('/v1/histograms', async (query) => {
      const question = histogramQuestion(query);
      const nodes = query.get('nodes') === 'all' ? reportsOfNodes(router, question, ownNode, clock) : [];
      return { processes: [await own(question), ...(await nodes)] };
    }),
  ];
}
