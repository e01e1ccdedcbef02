// A connectivity test for whoever reads JUnit's XML: a suite for each scenario, a case for each packet. Pure.
import { detailsOf, faultOf, probeText, withCode } from './text.ts'
import { type Fault, type ScenarioResult } from './types.ts'

const escapes: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  '\n': '&#10;',
}

/** XML 1.0 has no way to write most control characters. */
function escaped(text: string): string {
  return text
    .toWellFormed()
    .replaceAll(/[^\P{Cc}\n]|[\ufffe\uffff]/gu, '\ufffd')
    .replaceAll(/[&<>"\n]/g, (char) => escapes[char]!)
}

const seconds = (ms: number): string => (ms / 1000).toFixed(3)

function failure(fault: Fault): string {
  const { text, code } = fault
  const body = [text, ...detailsOf(fault)].join('\n')
  return `<failure type="${code ?? 'packet'}" message="${escaped(withCode(code, text))}">${escaped(body)}</failure>`
}

function testCase(suite: string, name: string, body = ''): string {
  const start = `    <testcase classname="connectivity.${suite}" name="${escaped(name)}"`
  return body === '' ? `${start}/>` : `${start}>${body}</testcase>`
}

function suiteOf({ name, state, text, probes, faults, ms }: ScenarioResult): string {
  const cases = [
    ...probes.map((result) =>
      testCase(
        name,
        probeText(result.probe),
        state === 'skipped'
          ? `<skipped message="${escaped(result.text)}"/>`
          : result.state === 'passed'
            ? ''
            : failure(faultOf(result)),
      ),
    ),
    ...faults.map((fault) => testCase(name, fault.subject, failure(fault))),
  ]
  // what has no packets passes, or is skipped, as a whole
  if (cases.length === 0)
    cases.push(testCase(name, name, state === 'skipped' ? `<skipped message="${escaped(text)}"/>` : ''))
  const failures = state === 'skipped' ? 0 : faults.length + probes.filter((each) => each.state !== 'passed').length
  const skipped = state === 'skipped' ? cases.length : 0
  return [
    `  <testsuite name="${name}" tests="${cases.length}" failures="${failures}" errors="0" skipped="${skipped}" time="${seconds(ms)}">`,
    ...cases,
    '  </testsuite>',
  ].join('\n')
}

/** A suite with an error: not of a packet, but of the test itself. */
function suiteOfError(error: string): string {
  const body = `<error type="test" message="${escaped(error)}">${escaped(error)}</error>`
  return `  <testsuite name="test" tests="1" failures="0" errors="1" skipped="0" time="0.000">\n${testCase('test', 'test', body)}\n  </testsuite>`
}

/** `error`: why the test did not come to its end; `results` are those until then. */
export function junitText(results: readonly ScenarioResult[], error?: string): string {
  const suites = [...results.map(suiteOf), ...(error === undefined ? [] : [suiteOfError(error)])]
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="causeway test connectivity">\n${suites.join('\n')}\n</testsuites>\n`
}
