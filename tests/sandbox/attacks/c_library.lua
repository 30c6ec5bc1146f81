-- technique: calls what is not there, package.loadlib; must: error
function run(input)
  local found = package.loadlib('libc.so.6', 'system')('true')
  return input.marker or found
end
