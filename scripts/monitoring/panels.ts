// The forms of panels that the dashboard uses, as Grafana's JSON model has them: types and options that Grafana 10 and later read.

export type Thresholds = readonly (readonly [color: string, from: number | null])[]

export type Target = {
  readonly expr: string
  /** The name of a series in legend and tooltip, with {{labels}}. */
  readonly legend?: string
  /** For tables: the values of now. */
  readonly isInstant?: true
}

/** Where a panel is, in a grid of 24 columns. */
export type Place = { readonly x: number; readonly y: number; readonly w: number; readonly h: number }

type Common = {
  readonly title: string
  /** What it shows, and what to do when it is not as it should be. */
  readonly about: string
  readonly place: Place
  readonly targets: readonly Target[]
  readonly unit?: string
}

/** A panel without its id, which follows from its place in the dashboard. */
export type Panel = {
  readonly type: string
  readonly title: string
  readonly targets: readonly { readonly expr: string }[]
} & Readonly<Record<string, unknown>>

const datasource = { type: 'prometheus', uid: '${datasource}' }

/** Healthy, to be looked at, broken: distinguishable for the colour-blind, and no panel tells by colour alone. */
export const colors = { fine: 'green', odd: 'orange', bad: 'red', plain: 'blue', faint: 'text' } as const

/** Zero is healthy. */
export const zeroIsFine: Thresholds = [
  [colors.fine, null],
  [colors.bad, 1],
]

function steps(thresholds: Thresholds): object {
  return { mode: 'absolute', steps: thresholds.map(([color, value]) => ({ color, value })) }
}

function commonOf(type: string, { title, about, place, targets }: Common): Panel {
  return {
    type,
    title,
    description: about,
    gridPos: { h: place.h, w: place.w, x: place.x, y: place.y },
    datasource,
    targets: targets.map(({ expr, legend, isInstant }, index) => ({
      refId: String.fromCharCode('A'.charCodeAt(0) + index),
      datasource,
      editorMode: 'code',
      expr,
      legendFormat: legend ?? '__auto',
      ...(isInstant ? { instant: true, range: false, format: 'table' } : { instant: false, range: true }),
    })),
  }
}

type Stat = Common & { readonly thresholds: Thresholds }

/** One number, with its course behind it. */
export function stat(panel: Stat): Panel {
  return {
    ...commonOf('stat', panel),
    fieldConfig: {
      defaults: {
        unit: panel.unit ?? 'short',
        decimals: 0,
        thresholds: steps(panel.thresholds),
        color: { mode: 'thresholds' },
      },
      overrides: [],
    },
    options: {
      reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false },
      colorMode: 'value',
      graphMode: 'area',
      justifyMode: 'auto',
      orientation: 'auto',
      textMode: 'auto',
      showPercentChange: false,
      wideLayout: true,
    },
  }
}

type TimeSeries = Common & {
  readonly isStacked?: true
  readonly max?: number
  /** The colours of series, by their names. */
  readonly seriesColors?: Readonly<Record<string, string>>
}

/** Values over time. */
export function timeSeries(panel: TimeSeries): Panel {
  const { isStacked, max, seriesColors = {} } = panel
  return {
    ...commonOf('timeseries', panel),
    fieldConfig: {
      defaults: {
        unit: panel.unit ?? 'short',
        min: 0,
        ...(max !== undefined && { max }),
        color: { mode: 'palette-classic' },
        custom: {
          drawStyle: 'line',
          lineInterpolation: isStacked ? 'stepAfter' : 'linear',
          lineWidth: isStacked ? 0 : 1,
          fillOpacity: isStacked ? 60 : 8,
          showPoints: 'auto',
          spanNulls: false,
          stacking: { mode: isStacked ? 'normal' : 'none', group: 'A' },
        },
      },
      overrides: Object.entries(seriesColors).map(([name, fixedColor]) => ({
        matcher: { id: 'byName', options: name },
        properties: [{ id: 'color', value: { mode: 'fixed', fixedColor } }],
      })),
    },
    options: {
      legend: { displayMode: 'list', placement: 'bottom', showLegend: true, calcs: [] },
      tooltip: { mode: 'multi', sort: 'desc' },
    },
  }
}

/** How values of all series are spread, over time. */
export function heatmap(panel: Common): Panel {
  return {
    ...commonOf('heatmap', panel),
    fieldConfig: { defaults: { custom: { scaleDistribution: { type: 'linear' } } }, overrides: [] },
    options: {
      calculate: true,
      calculation: { yBuckets: { mode: 'count', value: '20', scale: { type: 'log', log: 2 } } },
      cellGap: 1,
      color: {
        mode: 'scheme',
        scheme: 'Oranges',
        fill: 'dark-orange',
        scale: 'exponential',
        exponent: 0.5,
        steps: 64,
        reverse: false,
      },
      exemplars: { color: 'rgba(255,0,255,0.7)' },
      filterValues: { le: 1e-9 },
      legend: { show: true },
      rowsFrame: { layout: 'auto' },
      showValue: 'never',
      tooltip: { mode: 'single', yHistogram: false },
      yAxis: { axisPlacement: 'left', reverse: false, unit: panel.unit ?? 'short' },
    },
  }
}

export type Column = {
  /** The label, or "Value". */
  readonly name: string
  readonly title: string
  readonly unit?: string
  readonly width?: number
}

type Table = Common & { readonly columns: readonly Column[]; readonly sortBy?: string }

function override({ name, title, unit, width }: Column): object {
  const properties: object[] = [{ id: 'displayName', value: title }]
  if (unit !== undefined) properties.push({ id: 'unit', value: unit })
  if (width !== undefined) properties.push({ id: 'custom.width', value: width })
  return { matcher: { id: 'byName', options: name }, properties }
}

/** The values of now, one a line, with the columns that are named. */
export function table(panel: Table): Panel {
  const { columns, sortBy } = panel
  return {
    ...commonOf('table', panel),
    fieldConfig: {
      defaults: { custom: { align: 'auto', cellOptions: { type: 'auto' }, filterable: true } },
      overrides: columns.map(override),
    },
    options: {
      showHeader: true,
      cellHeight: 'sm',
      footer: { show: false, reducer: ['sum'], countRows: false },
      sortBy: sortBy === undefined ? [] : [{ displayName: sortBy, desc: false }],
    },
    transformations: [
      { id: 'filterFieldsByName', options: { include: { names: columns.map(({ name }) => name) } } },
      {
        id: 'organize',
        options: {
          indexByName: Object.fromEntries(columns.map(({ name }, index) => [name, index])),
          excludeByName: {},
          renameByName: {},
        },
      },
    ],
  }
}

type Matrix = Common & { readonly rows: string; readonly columns: string; readonly thresholds: Thresholds }

/** The values of now by two labels, one of them down, one across. */
export function matrix(panel: Matrix): Panel {
  const { rows, columns, thresholds } = panel
  return {
    ...commonOf('table', panel),
    fieldConfig: {
      defaults: {
        unit: panel.unit ?? 'short',
        thresholds: steps(thresholds),
        color: { mode: 'thresholds' },
        custom: { align: 'center', cellOptions: { type: 'color-background' } },
      },
      overrides: [
        {
          matcher: { id: 'byName', options: `${rows}\\${columns}` },
          properties: [{ id: 'custom.cellOptions', value: { type: 'auto' } }],
        },
      ],
    },
    options: {
      showHeader: true,
      cellHeight: 'sm',
      footer: { show: false, reducer: ['sum'], countRows: false },
      sortBy: [],
    },
    transformations: [
      {
        id: 'groupingToMatrix',
        options: { rowField: rows, columnField: columns, valueField: 'Value', emptyValue: 'null' },
      },
    ],
  }
}
