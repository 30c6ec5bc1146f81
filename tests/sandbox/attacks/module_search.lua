-- technique: calls what is not there, require; must: error
function run(input)
  local found = require('os').execute('true')
  return input.marker or found
end
