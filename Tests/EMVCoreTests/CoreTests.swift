import EMV
import Testing
