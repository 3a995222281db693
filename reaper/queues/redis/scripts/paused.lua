-- Returns the time and the operator's pause.
return {exact(now), call('GET', P .. ':pause')}
