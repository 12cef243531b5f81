/** `skyshard top`: rates, percentiles, errors and lag of a running cluster, in a terminal. */
import type { HistogramReport } from '../../metrics/histogram-report.ts';
import type { Command, CommandContext } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { type LiveFigures, liveText, methodFigures, nodeFigures } from '../live-figures.ts';
import { askRouter } from '../process/ask-process.ts';

const windowS = 10;
const everyMs = 2_000;
const askMsMax = 10_000;
const rowsMax = 30;
/** To the top left, and away with what is below. */
const clearScreen = '\u001b[H\u001b[J';

async function figures(context: CommandContext): Promise<LiveFigures> {
  const path = `/v1/histograms?nodes=all&last=${windowS}`;
  const [answer, status] = await Promise.all([
    askRouter(context, path, undefined, askMsMax),
    askRouter(context, '/v1/status', undefined, askMsMax),
  ]);
  const { processes } = answer as { processes: (HistogramReport | { readonly error: string })[] };
  const reports = processes.filter((one): one is HistogramReport => 'series' in one);
  return {
    atMs: context.clock.nowMs(),
    windowS,
    nodes: nodeFigures(status as Parameters<typeof nodeFigures>[0]),
    methods: methodFigures(reports, windowS),
  };
}

/** Prints once with `--once`, else every two seconds until it is stopped. */
export const runTop: Command = async (context) => {
  const { settings, clock, print } = context;
  for (;;) {
    const now = await figures(context);
    const text = settings.json ? `${JSON.stringify(now)}\n` : liveText(now, rowsMax);
    print(settings.once || settings.json ? text : `${clearScreen}${text}`);
    if (settings.once) return exitCode.done;
    await clock.sleep(everyMs);
  }
};
