// Writes docs/agent-api.md from the table of operations of the agent's API.
import { writeFileSync } from 'node:fs'
import { agentApiPage } from '../src/api/page.ts'

writeFileSync(new URL('../docs/agent-api.md', import.meta.url), agentApiPage())
