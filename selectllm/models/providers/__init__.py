"""Who answers: providers' facts, their endpoints and failures, and one model class per way."""
