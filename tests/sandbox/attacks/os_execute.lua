-- technique: calls what is not there, os.execute; must: error
function run(input)
  local found = os.execute('echo x > ' .. input.canary_file)
  return input.marker or found
end
