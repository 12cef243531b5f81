/** What is off, in plain sentences, with the command to run. */
import { adviceOf } from './advice.ts';
import { h } from './dom.ts';
import type { View } from './view.ts';

const recentMs = 60_000;
/** The worst of them; a cluster may have thousands of slots. */
const shownMax = 50;

export const adviceView: View = (root, { connection }) => {
  connection.want({ prefixes: ['items|', 'caller-items|'], process: null, spanS: 30 });
  return () => {
    const sinceMs = connection.atMs - recentMs;
    const earlier = new Map(
      [...connection.stepsByProcess].map(([name, steps]) => [name, steps.filter(({ endMs }) => endMs < sinceMs)]),
    );
    const { nodes, moves } = connection.cluster ?? { nodes: [], moves: { groups: [] } };
    const { ingest } = connection;
    const advice = adviceOf({ nodes, moves: moves.groups, ingest, recent: connection.recent(recentMs), earlier });
    const found = advice
      .slice(0, shownMax)
      .map(({ isBad, text, command }) =>
        h(
          'section',
          { class: isBad ? 'advice bad' : 'advice' },
          h('p', {}, text),
          h('p', {}, 'Run ', h('code', {}, command)),
        ),
      );
    const left = advice.length - found.length;
    root.replaceChildren(
      ...(found.length > 0
        ? found
        : [h('section', { class: 'wide' }, h('p', { class: 'good' }, 'Nothing is off that this page knows of.'))]),
      left > 0 ? h('p', { class: 'note' }, `${left} more that are no worse.`) : '',
    );
  };
};
