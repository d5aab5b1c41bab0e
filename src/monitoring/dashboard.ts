import { type PanelSpec, SECTIONS } from './panels.ts'

/** Grafana's dashboard, schema 38 (Grafana 10 and newer). https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/ */

const DATASOURCE = { type: 'prometheus', uid: '$' + '{datasource}' }

/** The dashboard as JSON text. */
export function dashboardText(): string {
  const panels: object[] = []
  let y = 0
  for (const [title, height, specs] of SECTIONS) {
    panels.push({
      id: panels.length + 1,
      type: 'row',
      title,
      collapsed: false,
      gridPos: { x: 0, y, w: 24, h: 1 },
      panels: [],
    })
    y++
    let x = 0
    for (const spec of specs) {
      if (x + spec.width > 24) {
        x = 0
        y += height
      }
      panels.push(panelOf(spec, panels.length + 1, { x, y, w: spec.width, h: height }))
      x += spec.width
    }
    y += height
  }
  return `${JSON.stringify(dashboardOf(panels), null, 2)}\n`
}

function dashboardOf(panels: object[]): object {
  const variable = {
    hide: 0,
    includeAll: false,
    multi: false,
    refresh: 1,
    skipUrlSync: false,
    options: [],
    current: {},
  }
  return {
    title: 'prewarm',
    uid: 'prewarm',
    description: 'Cache warming: what is warm, what it costs the origin, and who reads it.',
    tags: ['prewarm', 'cache'],
    schemaVersion: 38,
    version: 1,
    editable: true,
    graphTooltip: 1,
    refresh: '30s',
    time: { from: 'now-6h', to: 'now' },
    timezone: 'browser',
    annotations: { list: [] },
    links: [],
    templating: {
      list: [
        { ...variable, name: 'datasource', label: 'Data source', type: 'datasource', query: 'prometheus', regex: '' },
        {
          ...variable,
          name: 'job',
          label: 'Job',
          type: 'query',
          datasource: DATASOURCE,
          definition: 'label_values(prewarm_build_info, job)',
          query: { query: 'label_values(prewarm_build_info, job)', refId: 'job' },
          regex: '',
          sort: 1,
          includeAll: true,
          multi: true,
          refresh: 2,
          current: { selected: true, text: ['All'], value: ['$__all'] },
        },
      ],
    },
    panels,
  }
}

function panelOf(spec: PanelSpec, id: number, gridPos: object): object {
  const { title, description, kind, unit, targets, mappings = {}, steps = [[null, 'green']], stacked = false } = spec
  const graph = {
    drawStyle: 'line',
    fillOpacity: 10,
    showPoints: 'never',
    stacking: { group: 'A', mode: stacked ? 'normal' : 'none' },
  }
  return {
    id,
    type: kind,
    title,
    description,
    gridPos,
    datasource: DATASOURCE,
    fieldConfig: {
      defaults: {
        unit,
        color: { mode: kind === 'stat' ? 'thresholds' : 'palette-classic' },
        mappings: Object.keys(mappings).length === 0 ? [] : [{ type: 'value', options: mappings }],
        thresholds: { mode: 'absolute', steps: steps.map(([value, color]) => ({ value, color })) },
        custom: kind === 'stat' ? {} : graph,
      },
      overrides: [],
    },
    options:
      kind === 'stat'
        ? {
            colorMode: 'value',
            graphMode: 'none',
            reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false },
          }
        : {
            legend: { displayMode: 'list', placement: 'bottom', showLegend: true },
            tooltip: { mode: 'multi', sort: 'desc' },
          },
    targets: Object.entries(targets).map(([expr, legendFormat], index) => ({
      refId: String.fromCharCode(65 + index),
      datasource: DATASOURCE,
      expr,
      legendFormat,
      range: true,
    })),
  }
}
