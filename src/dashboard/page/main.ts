/** The page: chooses the view that the URL names, and shows it again with each message. */
import { systemClock } from '../../base/clock.ts';
import { adviceView } from './advice-view.ts';
import { clusterView } from './cluster-view.ts';
import { Connection } from './connection.ts';
import { h } from './dom.ts';
import { ingestView } from './ingest-view.ts';
import { latencyView } from './latency-view.ts';
import { loadView } from './load-view.ts';
import type { View, ViewState } from './view.ts';

const views: Readonly<Record<string, readonly [title: string, view: View]>> = {
  cluster: ['Cluster', clusterView],
  latency: ['Latency', latencyView],
  load: ['Load', loadView],
  ingest: ['Ingest', ingestView],
  advice: ['Advisor', adviceView],
};

const element = <Kind extends HTMLElement>(id: string): Kind => document.getElementById(id) as Kind;
const [root, tabs, line, login] = [
  element('view'),
  element('tabs'),
  element('state'),
  element<HTMLFormElement>('login'),
];

function stateOfUrl(): ViewState {
  return Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
}

function urlOf(state: ViewState): string {
  return `#${new URLSearchParams(Object.entries(state).filter(([, value]) => value !== ''))}`;
}

/** Of all times on the page. */
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
let update: () => void = () => {};

function showTabs(chosen: string): void {
  const links = Object.entries(views).map(([name, [title]]) =>
    h('a', { href: urlOf({ view: name }), ...(name === chosen ? { 'aria-current': 'page' } : {}) }, title),
  );
  tabs.replaceChildren(...links);
}

function showView(): void {
  const state = stateOfUrl();
  const name = state['view'] !== undefined && state['view'] in views ? state['view'] : 'cluster';
  showTabs(name);
  root.replaceChildren();
  update = views[name]![1](root, {
    connection,
    state,
    set: (change) => {
      location.hash = urlOf({ ...stateOfUrl(), view: name, ...change });
    },
  });
  refresh();
}

function refresh(): void {
  line.className = connection.isLive ? '' : 'bad';
  const ageS = Math.round((systemClock.nowMs() - connection.heardMs) / 1000);
  const epoch = connection.cluster === null ? '' : `, map ${connection.cluster.epoch}`;
  const stale = connection.heardMs === 0 ? 'connecting' : `no news for ${ageS} s`;
  line.textContent = connection.isLive ? `live${epoch}, times of ${zone}` : stale;
  if (connection.heardMs > 0) update();
}

const connection = new Connection(refresh, (problem) => {
  login.hidden = problem === null;
  root.hidden = problem !== null;
  element('refusal').textContent = problem ?? '';
});

login.addEventListener('submit', (event) => {
  event.preventDefault();
  connection.login(element<HTMLInputElement>('token').value);
});
addEventListener('hashchange', showView);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', showView);
showView();
