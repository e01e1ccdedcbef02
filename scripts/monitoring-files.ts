// Writes monitoring/dashboard.json and monitoring/prometheus-operator.yaml.
import { readFileSync, writeFileSync } from 'node:fs'
import { dashboardText } from './monitoring/dashboard.ts'
import { operatorText } from './monitoring/operator.ts'

const file = (name: string): URL => new URL(`../monitoring/${name}`, import.meta.url)
writeFileSync(file('dashboard.json'), dashboardText())
writeFileSync(file('prometheus-operator.yaml'), operatorText(readFileSync(file('alerts.yaml'), 'utf8')))
