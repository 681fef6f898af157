/**
 * The one script: dragging over the timeline, keys in lists, copying, and following an export. Every page works without it.
 */
export const script = `'use strict'
{
  const say = (text) => {
    let place = document.getElementById('said')
    if (place === null) {
      place = document.createElement('p')
      place.id = 'said'
      place.className = 'sr'
      place.setAttribute('role', 'status')
      document.body.append(place)
    }
    place.textContent = text
  }

  // The timeline: drag, or arrow keys with Shift, to choose a time.
  for (const svg of document.querySelectorAll('svg[data-brush]')) {
    const from = Number(svg.dataset.from)
    const to = Number(svg.dataset.to)
    const step = Number(svg.dataset.step)
    const box = svg.viewBox.baseVal
    const bars = [...svg.querySelectorAll('a')]
    const mark = document.createElementNS('http://www.w3.org/2000/svg', 'rect')
    mark.setAttribute('class', 'chosen')
    mark.setAttribute('height', box.height)
    const show = (one, other) => {
      const at = (time) => Math.max(0, Math.min(1, (time - from) / (to - from))) * box.width
      const [low, high] = [at(Math.min(one, other)), at(Math.max(one, other))]
      mark.setAttribute('x', low)
      mark.setAttribute('width', high - low)
      svg.append(mark)
    }
    const go = (one, other) => {
      const url = new URL(svg.dataset.brush, location.href)
      url.searchParams.delete('range')
      const [low, high] = [Math.min(one, other), Math.max(one, other)].map((time) => Math.max(0, Math.round(time)))
      url.searchParams.set('from', new Date(low).toISOString())
      url.searchParams.set('to', new Date(Math.max(high, low + 1)).toISOString())
      location.assign(url)
    }
    const timeAt = (event) => {
      const { left, width } = svg.getBoundingClientRect()
      return from + Math.max(0, Math.min(1, (event.clientX - left) / width)) * (to - from)
    }
    let start = null
    let dragged = false
    svg.classList.add('brush')
    svg.addEventListener('dragstart', (event) => event.preventDefault())
    svg.addEventListener('pointerdown', (event) => {
      if (event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey) return
      start = { x: event.clientX, time: timeAt(event) }
      dragged = false
    })
    svg.addEventListener('pointermove', (event) => {
      if (start === null) return
      if (!dragged && Math.abs(event.clientX - start.x) < 5) return
      if (!dragged) svg.setPointerCapture(event.pointerId)
      dragged = true
      show(start.time, timeAt(event))
    })
    svg.addEventListener('pointerup', (event) => {
      if (start !== null && dragged) go(start.time, timeAt(event))
      start = null
    })
    svg.addEventListener('pointercancel', () => {
      start = null
      mark.remove()
    })
    svg.addEventListener(
      'click',
      (event) => {
        if (dragged) event.preventDefault()
      },
      true,
    )
    let end = null
    const timeOf = (bar) => Number(bar.dataset.at)
    bars[0]?.setAttribute('tabindex', '0')
    svg.addEventListener('keydown', (event) => {
      const here = bars.indexOf(document.activeElement)
      if (here < 0) return
      const move = { ArrowLeft: -1, ArrowRight: 1, Home: -bars.length, End: bars.length }[event.key]
      if (move !== undefined) {
        event.preventDefault()
        const next = Math.max(0, Math.min(bars.length - 1, here + move))
        end = event.shiftKey ? (end ?? here) : null
        bars[here].setAttribute('tabindex', '-1')
        bars[next].setAttribute('tabindex', '0')
        bars[next].focus()
        if (end === null) return mark.remove()
        const [low, high] = [Math.min(end, next), Math.max(end, next)]
        show(timeOf(bars[low]), timeOf(bars[high]) + step)
        say(high - low + 1 + ' bars chosen: Enter narrows the time to them')
      } else if (event.key === 'Enter' && end !== null) {
        event.preventDefault()
        const [low, high] = [Math.min(end, here), Math.max(end, here)]
        go(timeOf(bars[low]), timeOf(bars[high]) + step)
      } else if (event.key === 'Escape' && end !== null) {
        end = null
        mark.remove()
      }
    })
    const hint = document.createElement('span')
    hint.className = 'quiet hint'
    hint.textContent = 'Drag to choose a time; or arrow keys, with Shift to choose'
    svg.closest('figure')?.querySelector('figcaption')?.append(hint)
  }

  // Lists: j and k go down and up while the list has the focus, Enter opens.
  for (const table of document.querySelectorAll('table.records')) {
    const links = [...table.querySelectorAll('tr[data-row] th a')]
    const region = table.closest('.scroll') ?? table
    region.addEventListener('keydown', (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || (event.key !== 'j' && event.key !== 'k')) return
      const row = document.activeElement?.closest('tr')
      const here = links.findIndex((link) => link.closest('tr') === row)
      const next = here < 0 ? 0 : here + (event.key === 'j' ? 1 : -1)
      links[Math.max(0, Math.min(links.length - 1, next))]?.focus()
      event.preventDefault()
    })
    for (const row of table.querySelectorAll('tr[data-row]')) {
      const link = row.querySelector('th a')
      if (link === null) continue
      row.classList.add('open')
      row.addEventListener('click', (event) => {
        if (event.target.closest('a') === null && String(getSelection()) === '') link.click()
      })
    }
  }

  // Copying.
  for (const place of document.querySelectorAll('[data-copy]')) {
    const button = document.createElement('button')
    button.type = 'button'
    button.className = 'copy'
    button.textContent = 'Copy'
    button.setAttribute('aria-label', 'Copy: ' + (place.getAttribute('aria-label') ?? ''))
    button.addEventListener('click', async () => {
      try {
        await navigator.clipboard.writeText(place.textContent)
        button.textContent = 'Copied'
        say('Copied')
      } catch {
        button.textContent = 'Press Ctrl+C'
        getSelection().selectAllChildren(place)
      }
      setTimeout(() => (button.textContent = 'Copy'), 2000)
    })
    place.before(button)
  }

  // An export under way.
  const follow = async () => {
    const place = document.querySelector('[data-poll]')
    if (place === null) return
    try {
      const answer = await fetch(location.href, { headers: { accept: 'text/html' }, cache: 'no-store' })
      if (!answer.ok) return location.reload()
      const page = new DOMParser().parseFromString(await answer.text(), 'text/html')
      const now = page.getElementById(place.id)
      if (now === null) return location.reload()
      place.replaceWith(document.adoptNode(now))
    } catch {
      // Asked again.
    }
    setTimeout(follow, 1000)
  }
  setTimeout(follow, 500)
}
`
